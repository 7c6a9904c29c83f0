import type { Allocator } from "./allocator.ts";
import type { Arena } from "./arena.ts";
import { type EntryHead, type EntryTable, FIELD, FLAG, headBytes, STATE } from "./entry_table.ts";
import type { EvictionPolicy } from "./eviction/policy.ts";
import type { KeyBytes } from "./key_bytes.ts";
import { COUNTER, GRANULE_BYTES } from "./layout.ts";
import { LEASE, type LeaseTable } from "./lease_table.ts";
import type { RemovalReason, WriteCommit, WriteOutcome } from "./types.ts";

const NONE = -1;

/** An object that left sight, to be told after the lock is given back. */
export interface Removal {
  readonly tenant: string;
  readonly reason: RemovalReason;
  readonly sizeBytes: number;
}

/** The tables of one arena, as one thread sees them. */
export interface Tables {
  readonly arena: Arena;
  readonly allocator: Allocator;
  readonly entries: EntryTable;
  readonly leases: LeaseTable;
  readonly policy: EvictionPolicy;
}

/**
 * How an object comes and goes: staged, admitted, detached, freed. Every step leaves tables, index and policy consistent.
 * Not locked: the caller holds the arena's lock.
 */
export class Lifecycle {
  /** What was removed since the last look; the manager publishes and empties it. */
  readonly removals: Removal[] = [];
  readonly #t: Tables;
  readonly #w: Int32Array;
  readonly #d: Float64Array;
  readonly #counters: number;
  readonly #mayLeave: (entry: number) => boolean;

  constructor(tables: Tables) {
    this.#t = tables;
    this.#w = tables.arena.words;
    this.#d = tables.arena.doubles;
    this.#counters = tables.arena.layout.at.counters;
    const { entries } = tables;
    this.#mayLeave = (entry) => entries.get(entry, FIELD.pins) === 0;
  }

  format(): void {
    this.#w[this.#counters + COUNTER.stagingGranules] = 0;
    this.#w[this.#counters + COUNTER.residents] = 0;
    this.#w[this.#counters + COUNTER.sweepHand] = 0;
    this.#d[(this.#counters + COUNTER.payloadBytes) >>> 1] = 0;
  }

  /** Makes room by eviction and stages an object; -1 if there is no room. */
  stage(key: KeyBytes, head: EntryHead, object: { readonly sizeBytes: number; readonly flags: number }): number {
    const granules = Math.max(1, Math.ceil((headBytes(key, head) + object.sizeBytes) / GRANULE_BYTES));
    const extents = this.#allocate(granules);
    if (extents === NONE) return NONE;
    while (!this.#t.entries.hasFreeRow) {
      if (this.evict("pressure") === NONE) {
        this.#t.allocator.release(extents);
        return NONE;
      }
    }
    this.#count(COUNTER.stagingGranules, granules);
    return this.#t.entries.create(key, head, { extents, granules, flags: object.flags });
  }

  /** Grows a staging to hold `sizeBytes` in all; false if there is no room. */
  extend(entry: number, sizeBytes: number): boolean {
    const { entries, allocator } = this.#t;
    const granules = Math.ceil((entries.headBytesOf(entry) + sizeBytes) / GRANULE_BYTES);
    const more = granules - entries.get(entry, FIELD.granules);
    if (more <= 0) return true;
    const extents = this.#allocate(more);
    if (extents === NONE) return false;
    allocator.append(entries.get(entry, FIELD.extents), extents);
    entries.set(entry, FIELD.granules, granules);
    this.#count(COUNTER.stagingGranules, more);
    return true;
  }

  /** Ends a staging well: resident from now on, or dropped. `key` is the entry's. */
  admit(
    entry: number,
    key: KeyBytes,
    commit: WriteCommit & { readonly onResident: "replace" | "keep"; readonly nowMs: number },
  ): WriteOutcome {
    const { entries, policy, leases } = this.#t;
    leases.end(entries.get(entry, FIELD.writer));
    entries.setFlag(entry, FLAG.complete);
    if (!entries.hasFlag(entry, FLAG.linked)) return this.#drop(entry, "superseded");
    this.expireIfDue(key, commit.nowMs);
    const resident = entries.findResident(key);
    if (resident !== NONE && commit.onResident === "keep") return this.#drop(entry, "duplicate");
    if (resident !== NONE) this.remove(resident, "replaced");
    if (commit.onResident === "replace") this.supersedeLoads(key);
    this.#count(COUNTER.stagingGranules, -entries.get(entry, FIELD.granules));
    this.#trim(entry, commit.sizeBytes);
    entries.setMeta(entry, commit);
    entries.set(entry, FIELD.state, STATE.resident);
    policy.admitted(entry);
    entries.setFlag(entry, FLAG.listed);
    this.#count(COUNTER.residents, 1);
    this.#addPayload(commit.sizeBytes);
    return "admitted";
  }

  /** Ends a staging without admission. */
  abort(entry: number): void {
    this.#t.leases.end(this.#t.entries.get(entry, FIELD.writer));
    this.#drop(entry, "stale");
  }

  /** Drops a staging that never got a lease. */
  discard(entry: number): void {
    this.#drop(entry, "stale");
  }

  /** Takes a resident out of sight; its memory follows when nobody reads it any more. */
  remove(entry: number, reason: RemovalReason, evicted: boolean = false): void {
    const { entries, policy } = this.#t;
    const sizeBytes = entries.getDouble(entry, FIELD.sizeBytes);
    this.removals.push({ tenant: entries.tenantOf(entry), reason, sizeBytes });
    entries.unlink(entry);
    if (entries.hasFlag(entry, FLAG.listed)) policy.removed(entry, evicted);
    entries.set(entry, FIELD.state, STATE.detached);
    this.#count(COUNTER.residents, -1);
    this.#addPayload(-sizeBytes);
    this.#freeIfUnused(entry);
  }

  /** Gives read leases back. */
  unpin(entry: number, count: number): void {
    const { entries } = this.#t;
    const pins = entries.get(entry, FIELD.pins) - count;
    entries.set(entry, FIELD.pins, pins);
    if (pins > 0) return;
    if (entries.get(entry, FIELD.state) === STATE.resident && entries.hasFlag(entry, FLAG.temporary)) {
      this.remove(entry, "temporary");
    } else this.#freeIfUnused(entry);
  }

  /** Running loads of the key can no longer be admitted, nor found. */
  supersedeLoads(key: KeyBytes): void {
    const { entries } = this.#t;
    for (const entry of entries.findStagings(key)) if (entries.hasFlag(entry, FLAG.loading)) entries.unlink(entry);
  }

  /** Evicts one object; its size in granules, or -1 if all that remain are leased. */
  evict(reason: RemovalReason): number {
    const entry = this.#t.policy.victim(this.#mayLeave);
    if (entry === NONE) return NONE;
    const granules = this.#t.entries.get(entry, FIELD.granules);
    this.remove(entry, reason, true);
    return granules;
  }

  /** Removes the key's resident if its time is up. */
  expireIfDue(key: KeyBytes, nowMs: number): void {
    const resident = this.#t.entries.findResident(key);
    if (resident !== NONE && this.isDue(resident, nowMs)) this.remove(resident, "expired");
  }

  /** Whether a resident's time to live is over. */
  isDue(entry: number, nowMs: number): boolean {
    const expiresMs = this.#t.entries.getDouble(entry, FIELD.expiresMs);
    return expiresMs !== 0 && expiresMs <= nowMs;
  }

  /** Ends the leases for which `which` holds; how many reads and writes that were. */
  endLeases(which: (deadlineMs: number, holder: number) => boolean): { readonly read: number; readonly write: number } {
    let read = 0;
    let write = 0;
    for (const lease of this.#t.leases.live(which)) {
      if (lease.kind === LEASE.write) {
        write++;
        this.abort(lease.entry);
      } else {
        read += lease.count;
        this.#t.leases.end(lease.slot);
        this.unpin(lease.entry, lease.count);
      }
    }
    return { read, write };
  }

  #allocate(granules: number): number {
    for (;;) {
      const extents = this.#t.allocator.allocate(granules);
      if (extents !== NONE || this.evict("pressure") === NONE) return extents;
    }
  }

  #trim(entry: number, sizeBytes: number): void {
    const { entries, allocator } = this.#t;
    const granules = Math.max(1, Math.ceil((entries.headBytesOf(entry) + sizeBytes) / GRANULE_BYTES));
    const extents = entries.get(entry, FIELD.extents);
    if (granules < entries.get(entry, FIELD.granules)) allocator.shrink(extents, granules);
    entries.set(entry, FIELD.granules, allocator.chainLength(extents));
  }

  #drop(entry: number, outcome: WriteOutcome): WriteOutcome {
    const { entries } = this.#t;
    this.#count(COUNTER.stagingGranules, -entries.get(entry, FIELD.granules));
    entries.unlink(entry);
    entries.set(entry, FIELD.state, STATE.detached);
    this.#freeIfUnused(entry);
    return outcome;
  }

  #freeIfUnused(entry: number): void {
    const { entries } = this.#t;
    if (entries.get(entry, FIELD.state) === STATE.detached && entries.get(entry, FIELD.pins) === 0) entries.free(entry);
  }

  #count(name: number, change: number): void {
    this.#w[this.#counters + name] = (this.#w[this.#counters + name] ?? 0) + change;
  }

  #addPayload(bytes: number): void {
    const at = (this.#counters + COUNTER.payloadBytes) >>> 1;
    this.#d[at] = (this.#d[at] ?? 0) + bytes;
  }
}
