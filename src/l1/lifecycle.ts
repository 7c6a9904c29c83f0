import type { Clock } from "../core/clock.ts";
import type { EntryHead } from "./arena/entry_head.ts";
import { FIELD, FLAG, STATE } from "./arena/entry_table.ts";
import { KeyBytes } from "./arena/key_bytes.ts";
import { COUNTER, GRANULE_BYTES } from "./arena/layout.ts";
import { LEASE } from "./arena/lease_table.ts";
import type { Tables } from "./arena/tables.ts";
import type { Tally } from "./tally.ts";
import type { L1RemovalListener, RemovalReason, WriteCommit, WriteOutcome } from "./types.ts";

const NONE = -1;

/** How a staging is ended. */
export interface AdmitOptions extends WriteCommit {
  readonly onResident: "replace" | "keep";
  readonly monotonicMs: number;
  /** No tier has it yet: it has an endless lease already (default false). */
  readonly isUnsaved?: boolean;
}

/**
 * How an object comes and goes: staged, admitted, detached, freed. Every step leaves tables, index and policy consistent, and what left
 * is in the tally. Not locked: the caller holds the arena's lock.
 */
export class Lifecycle {
  readonly #t: Tables;
  readonly #tally: Tally;
  readonly #clock: Clock;
  readonly #mayLeave: (entry: number) => boolean;
  readonly #onRemoved: L1RemovalListener | undefined;
  /** The key of what leaves; the one at hand belongs to the caller. */
  readonly #leaving = new KeyBytes(0);

  constructor(
    tables: Tables,
    tally: Tally,
    { clock, onRemoved }: { readonly clock: Clock; readonly onRemoved?: L1RemovalListener | undefined },
  ) {
    this.#t = tables;
    this.#tally = tally;
    this.#clock = clock;
    this.#onRemoved = onRemoved;
    const { entries } = tables;
    this.#mayLeave = (entry) => entries.get(entry, FIELD.pins) === 0;
  }

  /** Makes room by eviction and stages an object; -1 if there is no room. */
  stage(key: KeyBytes, head: EntryHead, memory: { readonly granules: number; readonly flags: number }): number {
    const { granules, flags } = memory;
    const extents = this.#allocate(granules);
    if (extents === NONE) return NONE;
    while (!this.#t.entries.hasFreeRow) {
      if (this.evict("pressure") === NONE) {
        this.#t.allocator.release(extents);
        return NONE;
      }
    }
    this.#t.counters.add(COUNTER.stagingGranules, granules);
    return this.#t.entries.create(key, head, { extents, granules, flags });
  }

  /** Grows a staging to hold `sizeBytes` in all; false if there is no room. */
  extend(entry: number, sizeBytes: number): boolean {
    const { entries, allocator, counters } = this.#t;
    const granules = Math.ceil((entries.headBytesOf(entry) + sizeBytes) / GRANULE_BYTES);
    const more = granules - entries.get(entry, FIELD.granules);
    if (more <= 0) return true;
    const extents = this.#allocate(more);
    if (extents === NONE) return false;
    allocator.append(entries.get(entry, FIELD.extents), extents);
    entries.set(entry, FIELD.granules, granules);
    counters.add(COUNTER.stagingGranules, more);
    return true;
  }

  /** Ends a staging well: resident from now on, or dropped. `key` is the entry's; the size is within its capacity. */
  admit(entry: number, key: KeyBytes, commit: AdmitOptions): WriteOutcome {
    const { entries, policy, admissions, leases, counters } = this.#t;
    entries.setFlag(entry, FLAG.complete);
    if (!entries.hasFlag(entry, FLAG.linked)) return this.#abortAs(entry, "superseded");
    const resident = this.findLive(key);
    if (resident !== NONE && commit.onResident === "keep") return this.#abortAs(entry, "duplicate");
    counters.add(COUNTER.stagingGranules, -entries.get(entry, FIELD.granules));
    this.#trim(entry, commit.sizeBytes);
    entries.setMeta(entry, commit);
    admissions.note(entry, commit.monotonicMs);
    if (commit.isUnsaved === true) entries.setFlag(entry, FLAG.unsaved);
    entries.set(entry, FIELD.state, STATE.resident);
    // From here on it counts: until its write lease ends, a repair finishes what follows.
    this.#removeOther(entry, key, resident === NONE ? "expired" : "replaced");
    if (commit.onResident === "replace") this.supersedeLoads(key);
    policy.admitted(entry);
    admissions.add(entry);
    counters.add(COUNTER.residents, 1);
    counters.payloadBytes += commit.sizeBytes;
    leases.end(entries.get(entry, FIELD.writer));
    const action = entries.hasFlag(entry, FLAG.loading) ? "loaded" : "written";
    this.#tally.sample(entries.get(entry, FIELD.hash), entries.tenantOf(entry), action);
    return "admitted";
  }

  /** Finishes the admission of an entry that had become resident when its writer was cut off. `key` is the entry's. */
  finishAdmission(entry: number, key: KeyBytes): void {
    const { entries, leases } = this.#t;
    this.#removeOther(entry, key, "replaced");
    this.supersedeLoads(key);
    leases.end(entries.get(entry, FIELD.writer));
  }

  /** Ends a staging without admission. */
  abort(entry: number): void {
    this.#t.leases.end(this.#t.entries.get(entry, FIELD.writer));
    this.discard(entry);
  }

  /** Drops a staging that has no lease. */
  discard(entry: number): void {
    const { entries, counters } = this.#t;
    counters.add(COUNTER.stagingGranules, -entries.get(entry, FIELD.granules));
    entries.unlink(entry);
    entries.set(entry, FIELD.state, STATE.detached);
    this.#freeIfUnused(entry);
  }

  /** Takes a resident out of sight; its memory follows when nobody reads it any more. */
  remove(entry: number, reason: RemovalReason, evicted: boolean = false): void {
    const { entries, policy, admissions, counters } = this.#t;
    const sizeBytes = entries.getDouble(entry, FIELD.sizeBytes);
    const tenant = entries.tenantOf(entry);
    this.#tally.removed(tenant, reason, sizeBytes);
    this.#tally.sample(entries.get(entry, FIELD.hash), tenant, "removed", reason);
    if (this.#onRemoved !== undefined) {
      entries.loadKey(entry, this.#leaving);
      this.#onRemoved(this.#leaving, reason);
    }
    entries.unlink(entry);
    policy.removed(entry, evicted);
    admissions.remove(entry);
    entries.set(entry, FIELD.state, STATE.detached);
    counters.add(COUNTER.residents, -1);
    counters.payloadBytes -= sizeBytes;
    this.#freeIfUnused(entry);
  }

  /** Gives read leases back. */
  unpin(entry: number, count: number): void {
    const { entries } = this.#t;
    const pins = entries.get(entry, FIELD.pins) - count;
    const isLast = pins === 0 && entries.get(entry, FIELD.state) === STATE.resident;
    // Before the pins are written: a temporary object with pins and without leases is how a repair knows one that was to leave.
    if (isLast && entries.hasFlag(entry, FLAG.temporary)) this.remove(entry, "temporary");
    entries.set(entry, FIELD.pins, pins);
    this.#freeIfUnused(entry);
  }

  /** Running loads of the key can no longer be admitted, nor found. */
  supersedeLoads(key: KeyBytes): void {
    const { entries } = this.#t;
    for (const entry of entries.findStagings(key)) if (entries.hasFlag(entry, FLAG.loading)) entries.unlink(entry);
  }

  /** Evicts one object; its size in bytes, or -1 if all that remain are leased. */
  evict(reason: RemovalReason): number {
    const entry = this.#t.policy.victim(this.#mayLeave);
    if (entry === NONE) return NONE;
    const sizeBytes = this.#t.entries.getDouble(entry, FIELD.sizeBytes);
    this.remove(entry, reason, true);
    return sizeBytes;
  }

  /** The resident of a key whose time is not up, or -1; one whose time is up is removed, unless it is unsaved. */
  findLive(key: KeyBytes): number {
    const { entries } = this.#t;
    const resident = entries.findResident(key);
    if (resident === NONE || !this.isDue(resident)) return resident;
    if (!entries.hasFlag(resident, FLAG.unsaved)) this.remove(resident, "expired");
    return NONE;
  }

  /** Removes what findLive leaves in sight although its time is up. */
  removeExpired(key: KeyBytes): void {
    const resident = this.#t.entries.findResident(key);
    if (resident !== NONE) this.remove(resident, "expired");
  }

  /** Whether a resident's time to live is over, by wall time, which is read only for those that have one. */
  isDue(entry: number): boolean {
    const expiresMs = this.#t.entries.getDouble(entry, FIELD.expiresMs);
    return expiresMs !== 0 && expiresMs <= this.#clock.nowMs();
  }

  /** Ends the leases for which `which` holds, as expired; never one without a deadline: it holds an object that no tier has. */
  expireLeases(which: (deadlineMs: number, holder: number) => boolean): void {
    let readLeases = 0;
    for (const lease of this.#t.leases.live(which)) {
      if (this.#t.leases.isEndless(lease.slot)) continue;
      if (lease.kind === LEASE.write) this.expireWrite(lease.entry);
      else {
        readLeases += lease.count;
        this.#t.leases.end(lease.slot);
        this.unpin(lease.entry, lease.count);
      }
    }
    if (readLeases > 0) this.#tally.expired("read", readLeases);
  }

  /** Leaves the leases for which `which` holds to lapse at `untilMs` at the latest, and takes the stagings among them out of sight. */
  disown(which: (deadlineMs: number, holder: number) => boolean, untilMs: number): void {
    const { leases, entries } = this.#t;
    for (const { slot, kind, entry, deadlineMs } of leases.live(which)) {
      if (leases.isEndless(slot)) continue;
      if (kind === LEASE.write) {
        entries.unlink(entry);
        entries.setFlag(entry, FLAG.orphaned);
      }
      leases.setDeadline(slot, Math.min(deadlineMs, untilMs));
    }
  }

  /** Ends a staging whose writer let its lease run out. */
  expireWrite(entry: number): void {
    this.#tally.expired("write", 1);
    this.abort(entry);
  }

  /** The most that could be free if every object but the stagings left. */
  get unstagedGranules(): number {
    const { arena, counters } = this.#t;
    return arena.layout.granules - counters.get(COUNTER.stagingGranules);
  }

  #allocate(granules: number): number {
    // What can never fit must not empty the cache first.
    if (granules > this.unstagedGranules) return NONE;
    for (;;) {
      const extents = this.#t.allocator.allocate(granules);
      if (extents !== NONE || this.evict("pressure") === NONE) return extents;
    }
  }

  /** Gives back what the object does not need, unless somebody who follows it has views of it. */
  #trim(entry: number, sizeBytes: number): void {
    const { entries, allocator } = this.#t;
    const granules = Math.max(1, Math.ceil((entries.headBytesOf(entry) + sizeBytes) / GRANULE_BYTES));
    if (granules >= entries.get(entry, FIELD.granules) || entries.get(entry, FIELD.pins) > 0) return;
    const extents = entries.get(entry, FIELD.extents);
    allocator.shrink(extents, granules);
    entries.set(entry, FIELD.granules, allocator.chainLength(extents));
  }

  /** Removes the resident that `entry` replaces, if there is one. */
  #removeOther(entry: number, key: KeyBytes, reason: RemovalReason): void {
    const other = this.#t.entries.findOtherResident(key, entry);
    if (other !== NONE) this.remove(other, reason);
  }

  #abortAs(entry: number, outcome: WriteOutcome): WriteOutcome {
    this.abort(entry);
    return outcome;
  }

  #freeIfUnused(entry: number): void {
    const { entries } = this.#t;
    if (entries.get(entry, FIELD.state) === STATE.detached && entries.get(entry, FIELD.pins) === 0) entries.free(entry);
  }
}
