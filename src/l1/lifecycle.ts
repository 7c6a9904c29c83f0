import type { Clock } from "../core/clock.ts";
import { MAX_KEPT_HEADER_BYTES } from "../core/object.ts";
import type { EntryHead } from "./arena/entry_head.ts";
import { FIELD, FLAG, STATE } from "./arena/entry_table.ts";
import { KeyBytes } from "./arena/key_bytes.ts";
import { COUNTER, GRANULE_BYTES } from "./arena/layout.ts";
import { LEASE } from "./arena/lease_table.ts";
import type { Tables } from "./arena/tables.ts";
import type { Tally } from "./tally.ts";
import type { L1Options } from "./options.ts";
import type { Known, L1RemovalListener, RemovalReason, WriteCommit, WriteOutcome } from "./l1.ts";

const NONE = -1;

/** There is no room yet; what was evicted shall be told, and others have their turn, before more is. */
export const AGAIN = -2;

/** Objects that one locked section evicts to make room. */
const EVICT_BATCH = 128;

/** Most bytes in front of an object: tenant, key, Content-Type, digest, kept headers and tag. */
const MAX_HEAD_BYTES = 128 + 1024 + 255 + 44 + MAX_KEPT_HEADER_BYTES + 255;

/** How a staging is ended. */
export interface AdmitOptions extends WriteCommit {
  readonly onResident: "replace" | "keep";
  readonly monotonicMs: number;
  /** No tier has it yet (default false). */
  readonly isDirty?: boolean;
}

/**
 * How an object comes and goes: staged, admitted, detached, freed. Every step leaves tables, index and policy
 * consistent, and what left is in the tally. Not locked: the caller holds the arena's lock.
 */
export class Lifecycle {
  readonly #tables: Tables;
  readonly #tally: Tally;
  readonly #clock: Clock;
  readonly #mayLeave: (entry: number) => boolean;
  readonly #maxStagingGranules: number;
  readonly #watermarkGranules: number;
  readonly #onRemoved: L1RemovalListener | undefined;
  /** The key of what leaves; the one at hand belongs to the caller. */
  readonly #leaving = new KeyBytes(0);

  constructor(
    tables: Tables,
    tally: Tally,
    options: Pick<L1Options, "clock" | "onRemoved" | "admissionLimitBytes" | "highWatermark">,
  ) {
    this.#tables = tables;
    this.#tally = tally;
    this.#clock = options.clock;
    this.#onRemoved = options.onRemoved;
    const { entries, arena: { layout: { granules } } } = tables;
    const largest = Math.ceil((options.admissionLimitBytes + MAX_HEAD_BYTES) / GRANULE_BYTES);
    this.#maxStagingGranules = Math.min(granules, Math.max(Math.floor(granules / 2), largest));
    this.#watermarkGranules = Math.floor(granules * options.highWatermark);
    this.#mayLeave = (entry) => entries.get(entry, FIELD.pins) === 0 && !entries.hasFlag(entry, FLAG.dirty);
  }

  /** Makes room by eviction and stages an object; -1 if there is no room, or AGAIN. */
  stage(
    key: KeyBytes,
    head: EntryHead,
    memory: { readonly granules: number; readonly spareGranules: number; readonly flags: number },
  ): number {
    const { flags } = memory;
    const extents = this.#allocate(memory.granules, memory.spareGranules);
    if (extents < 0) return extents;
    const granules = this.#tables.allocator.chainLength(extents);
    while (!this.#tables.entries.hasFreeRow) {
      if (this.evict("pressure") === NONE) {
        this.#tables.allocator.release(extents);
        return NONE;
      }
    }
    this.#tables.counters.add(COUNTER.stagingGranules, granules);
    return this.#tables.entries.create(key, head, { extents, granules, flags });
  }

  /**
   * Grows a staging to hold `sizeBytes` in all, and `spareBytes` more if they are free; -1 if there is no room, or
   * AGAIN.
   */
  extend(entry: number, sizeBytes: number, spareBytes: number): number {
    const { entries, allocator, counters } = this.#tables;
    const granules = entries.get(entry, FIELD.granules);
    const bytes = entries.headBytesOf(entry) + sizeBytes;
    const more = Math.ceil(bytes / GRANULE_BYTES) - granules;
    if (more <= 0) return entry;
    const extents = this.#allocate(more, Math.ceil((bytes + spareBytes) / GRANULE_BYTES) - granules - more);
    if (extents < 0) return extents;
    const added = allocator.chainLength(extents);
    allocator.append(entries.get(entry, FIELD.extents), extents);
    entries.set(entry, FIELD.granules, granules + added);
    counters.add(COUNTER.stagingGranules, added);
    return entry;
  }

  /** Ends a staging well: resident from now on, or dropped. `key` is the entry's; the size is within its capacity. */
  admit(entry: number, key: KeyBytes, commit: AdmitOptions): WriteOutcome {
    const { entries, policy, admissions, dirty, leases, counters } = this.#tables;
    entries.setFlag(entry, FLAG.complete);
    if (!entries.hasFlag(entry, FLAG.linked)) return this.#abortAs(entry, "superseded");
    const resident = this.findLive(key);
    if (resident !== NONE && commit.onResident === "keep") return this.#abortAs(entry, "duplicate");
    counters.add(COUNTER.stagingGranules, -entries.get(entry, FIELD.granules));
    this.#trim(entry, commit.sizeBytes);
    entries.setMeta(entry, commit);
    admissions.note(entry, commit.monotonicMs);
    if (commit.isDirty === true) entries.setFlag(entry, FLAG.dirty);
    entries.set(entry, FIELD.state, STATE.resident);
    // From here on it counts: until its write lease ends, a repair finishes what follows.
    this.#removeOther(entry, key, resident === NONE ? "expired" : "replaced");
    if (commit.onResident === "replace") this.supersedeLoads(key);
    policy.admitted(entry);
    admissions.add(entry);
    if (commit.isDirty === true) dirty.add(entry);
    counters.add(COUNTER.residents, 1);
    counters.payloadBytes += commit.sizeBytes;
    leases.end(entries.get(entry, FIELD.writer));
    const action = entries.hasFlag(entry, FLAG.loading) ? "loaded" : "written";
    this.#tally.sample(entries.get(entry, FIELD.hash), entries.tenantOf(entry), action);
    return "admitted";
  }

  /** Finishes the admission of an entry that had become resident when its writer was cut off. `key` is the entry's. */
  finishAdmission(entry: number, key: KeyBytes): void {
    const { entries, leases } = this.#tables;
    this.#removeOther(entry, key, "replaced");
    this.supersedeLoads(key);
    leases.end(entries.get(entry, FIELD.writer));
  }

  /** Ends a staging without admission. */
  abort(entry: number): void {
    this.#tables.leases.end(this.#tables.entries.get(entry, FIELD.writer));
    this.discard(entry);
  }

  /** Drops a staging that has no lease. */
  discard(entry: number): void {
    const { entries, counters } = this.#tables;
    counters.add(COUNTER.stagingGranules, -entries.get(entry, FIELD.granules));
    entries.unlink(entry);
    entries.set(entry, FIELD.state, STATE.detached);
    this.#freeIfUnused(entry);
  }

  /** Takes a resident out of sight; its memory follows when nobody reads it any more. */
  remove(entry: number, reason: RemovalReason, evicted: boolean = false): void {
    const { entries, policy, admissions, dirty, counters } = this.#tables;
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
    if (entries.hasFlag(entry, FLAG.dirty)) dirty.leave(entry);
    entries.set(entry, FIELD.state, STATE.detached);
    counters.add(COUNTER.residents, -1);
    counters.payloadBytes -= sizeBytes;
    this.#freeIfUnused(entry);
  }

  /** Gives read leases back. */
  unpin(entry: number, count: number): void {
    const { entries } = this.#tables;
    const pins = entries.get(entry, FIELD.pins) - count;
    const isLast = pins === 0 && entries.get(entry, FIELD.state) === STATE.resident;
    // Before the pins are written: a temporary object with pins and without leases is how a repair knows one that was
    // to leave.
    const mayLeave = entries.hasFlag(entry, FLAG.temporary) && !entries.hasFlag(entry, FLAG.dirty);
    if (isLast && mayLeave) this.remove(entry, "temporary");
    entries.set(entry, FIELD.pins, pins);
    this.#freeIfUnused(entry);
  }

  /** Running loads of the key can no longer be admitted, nor found. */
  supersedeLoads(key: KeyBytes): void {
    const { entries } = this.#tables;
    for (const entry of entries.findStagings(key)) if (entries.hasFlag(entry, FLAG.loading)) entries.unlink(entry);
  }

  /** Evicts one object; its size in bytes, or -1 if all that remain are leased. */
  evict(reason: RemovalReason): number {
    const entry = this.#tables.policy.victim(this.#mayLeave);
    if (entry === NONE) return NONE;
    const sizeBytes = this.#tables.entries.getDouble(entry, FIELD.sizeBytes);
    this.remove(entry, reason, true);
    return sizeBytes;
  }

  /** The resident of a key whose time is not up, or -1; one whose time is up is removed, unless it is dirty. */
  findLive(key: KeyBytes): number {
    const { entries } = this.#tables;
    const resident = entries.findResident(key);
    if (resident === NONE || !this.isDue(resident)) return resident;
    if (!entries.hasFlag(resident, FLAG.dirty)) this.remove(resident, "expired");
    return NONE;
  }

  /** What is known of a key; an object whose time is up is removed, unless it is dirty. */
  know(key: KeyBytes): Known | undefined {
    const { entries } = this.#tables;
    const resident = entries.findResident(key);
    if (resident === NONE) return undefined;
    const isDirty = entries.hasFlag(resident, FLAG.dirty);
    if (!this.isDue(resident)) return { meta: entries.metaOf(resident), isDirty };
    if (isDirty) return { meta: undefined, isDirty };
    this.remove(resident, "expired");
    return undefined;
  }

  /** Removes what findLive leaves in sight although its time is up. */
  removeExpired(key: KeyBytes): void {
    const resident = this.#tables.entries.findResident(key);
    if (resident !== NONE) this.remove(resident, "expired");
  }

  /** Whether a resident's time to live is over, by wall time, which is read only for those that have one. */
  isDue(entry: number): boolean {
    const expiresMs = this.#tables.entries.getDouble(entry, FIELD.expiresMs);
    return expiresMs !== 0 && expiresMs <= this.#clock.nowMs();
  }

  /** Gives back what a holder had taken to store it: it waits again, unless it was replaced or removed meanwhile. */
  giveDirtyBack(holder: number): void {
    const { leases, entries, dirty } = this.#tables;
    for (const { slot, entry } of leases.live((deadlineMs, of) => of === holder && deadlineMs === Infinity)) {
      const isOwed = entries.get(entry, FIELD.state) === STATE.resident && entries.hasFlag(entry, FLAG.dirty);
      if (isOwed) dirty.giveBack(entry);
      else dirty.remove(entry);
      leases.end(slot);
      this.#tally.expired("read", 1);
      this.unpin(entry, 1);
    }
  }

  /** Ends the leases for which `which` holds, as expired; never one without a deadline: its object is being stored. */
  expireLeases(which: (deadlineMs: number, holder: number) => boolean): void {
    let readLeases = 0;
    for (const lease of this.#tables.leases.live(which)) {
      if (this.#tables.leases.isEndless(lease.slot)) continue;
      if (lease.kind === LEASE.write) this.expireWrite(lease.entry);
      else {
        readLeases += lease.count;
        this.#tables.leases.end(lease.slot);
        this.unpin(lease.entry, lease.count);
      }
    }
    if (readLeases > 0) this.#tally.expired("read", readLeases);
  }

  /**
   * Leaves the leases for which `which` holds to lapse at `untilMs` at the latest, and takes the stagings among them
   * out of sight.
   */
  disown(which: (deadlineMs: number, holder: number) => boolean, untilMs: number): void {
    const { leases, entries } = this.#tables;
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

  /**
   * How many more granules stagings may hold: all together half of the arena, or the largest object that is admitted.
   */
  get stageableGranules(): number {
    return Math.max(0, this.#maxStagingGranules - this.#tables.counters.get(COUNTER.stagingGranules));
  }

  #allocate(granules: number, spareGranules: number): number {
    const { arena: { layout }, allocator } = this.#tables;
    // What can never fit must not empty the cache first.
    if (granules > this.stageableGranules) return NONE;
    const all = granules + spareGranules;
    // Nor shall anybody leave, now or for the watermark, for bytes that have yet to come.
    const isFree = all <= this.stageableGranules &&
      layout.granules - allocator.freeGranules + all <= this.#watermarkGranules;
    if (spareGranules > 0 && isFree) {
      const extents = allocator.allocate(all);
      if (extents !== NONE) return extents;
    }
    for (let evicted = 0;; evicted++) {
      const extents = allocator.allocate(granules);
      if (extents !== NONE) return extents;
      if (evicted === EVICT_BATCH) return AGAIN;
      if (this.evict("pressure") === NONE) return NONE;
    }
  }

  /** Gives back what the object does not need, unless somebody who follows it has views of it. */
  #trim(entry: number, sizeBytes: number): void {
    const { entries, allocator } = this.#tables;
    const granules = Math.max(1, Math.ceil((entries.headBytesOf(entry) + sizeBytes) / GRANULE_BYTES));
    if (granules >= entries.get(entry, FIELD.granules) || entries.get(entry, FIELD.pins) > 0) return;
    const extents = entries.get(entry, FIELD.extents);
    allocator.shrink(extents, granules);
    entries.set(entry, FIELD.granules, allocator.chainLength(extents));
  }

  /** Removes the resident that `entry` replaces, if there is one. */
  #removeOther(entry: number, key: KeyBytes, reason: RemovalReason): void {
    const other = this.#tables.entries.findOtherResident(key, entry);
    if (other !== NONE) this.remove(other, reason);
  }

  #abortAs(entry: number, outcome: WriteOutcome): WriteOutcome {
    this.abort(entry);
    return outcome;
  }

  #freeIfUnused(entry: number): void {
    const { entries } = this.#tables;
    if (entries.get(entry, FIELD.state) === STATE.detached && entries.get(entry, FIELD.pins) === 0) entries.free(entry);
  }
}
