import { VitrineError } from "../core/errors.ts";
import type { ObjectKey } from "../core/object.ts";
import { FIELD, FLAG, STATE } from "./arena/entry.ts";
import { LEASE } from "./arena/lease_table.ts";
import type { Parts } from "./lifecycle.ts";
import type { DirtyObject, Lease, Resident } from "./l1.ts";

const NONE = -1;

/** The reading side of L1. Not locked: the caller holds the arena's lock. */
export class Reads {
  readonly #parts: Parts;

  constructor(parts: Parts) {
    this.#parts = parts;
  }

  /** Throws no_room, without taking any lease, if fewer lease rows are free than there are keys. */
  reserve(keys: readonly ObjectKey[], count: number, monotonicMs: number): (Resident | undefined)[] {
    const { tables, lifecycle, key } = this.#parts;
    if (tables.leases.spare < keys.length) throw noLease();
    const found: (Resident | undefined)[] = [];
    for (const each of keys) {
      key.set(each);
      const entry = lifecycle.findLive(key);
      if (entry === NONE) {
        found.push(undefined);
        continue;
      }
      tables.policy.touched(entry);
      found.push(this.pin(entry, count, { monotonicMs, tenant: each.tenant }));
      this.#parts.events.sample(key.hash, each.tenant, "read");
    }
    return found;
  }

  /** Leases an entry, and reports `reported` read reservations (default `count`). */
  pin(
    entry: number,
    count: number,
    how: { readonly monotonicMs: number; readonly tenant: string; readonly reported?: number },
  ): Resident {
    const { tables: { entries, leases }, events, options } = this.#parts;
    const lease = leases.give(LEASE.read, entry, count, how.monotonicMs + options.readLeaseMs);
    if (lease === undefined) throw noLease();
    entries.set(entry, FIELD.pins, entries.get(entry, FIELD.pins) + count);
    const meta = entries.metaOf(entry);
    const reported = how.reported ?? count;
    if (reported > 0) events.add("l1.read.reserved", how.tenant, meta.sizeBytes * reported, reported);
    return { lease, meta, extents: entries.viewsOf(entry, meta.sizeBytes) };
  }

  /** Leases the dirty objects that have waited longest, without a deadline, which marks them as being stored. */
  takeDirty(most: number): readonly DirtyObject[] {
    const { entries, leases, dirty } = this.#parts.tables;
    const taken: DirtyObject[] = [];
    for (let entry = dirty.first; entry !== NONE && taken.length < most; entry = dirty.first) {
      if (leases.spare === 0) break;
      const key = entries.keyOf(entry);
      const resident = this.pin(entry, 1, { monotonicMs: Infinity, tenant: key.tenant });
      dirty.take(entry);
      taken.push({ key, resident });
    }
    return taken;
  }

  /** The staging that the tag's writer loads for the current key, or -1. */
  findLoad(tag: string, monotonicMs: number): number {
    const { entries, leases } = this.#parts.tables;
    const entry = entries.findStaging(this.#parts.key, tag);
    if (entry === NONE || !entries.hasFlag(entry, FLAG.loading)) return NONE;
    return leases.isOverdue(entries.get(entry, FIELD.writer), monotonicMs) ? NONE : entry;
  }

  /** The state of the load behind a follower's lease, and the number of bytes present. */
  progressOf(
    lease: Lease,
    monotonicMs: number,
  ): { readonly state: "loading" | "done" | "failed"; readonly filledBytes: number } {
    const { entries, leases } = this.#parts.tables;
    const entry = leases.entryOf(lease, LEASE.read, monotonicMs);
    if (entry === NONE) return { state: "failed", filledBytes: 0 };
    if (entries.hasFlag(entry, FLAG.complete)) {
      return { state: "done", filledBytes: entries.getDouble(entry, FIELD.sizeBytes) };
    }
    const isLoading = entries.get(entry, FIELD.state) === STATE.staging && !entries.hasFlag(entry, FLAG.orphaned);
    const state = isLoading ? "loading" : "failed";
    return { state, filledBytes: entries.getDouble(entry, FIELD.filledBytes) };
  }

  /**
   * True for each token that was live. A token past its deadline is live until its lease is ended: its object was held
   * all the time.
   */
  finish(tokens: readonly Lease[], count: number): boolean[] {
    const { tables: { entries, leases, dirty }, lifecycle, events } = this.#parts;
    const done: boolean[] = [];
    for (const lease of tokens) {
      const entry = leases.entryOf(lease, LEASE.read, -Infinity);
      done.push(entry !== NONE);
      if (entry === NONE) continue;
      const held = leases.countOf(lease.slot);
      const given = Math.min(count, held);
      events.add(
        "l1.read.finished",
        entries.tenantOf(entry),
        entries.getDouble(entry, FIELD.sizeBytes) * given,
        given,
      );
      if (leases.isEndless(lease.slot)) dirty.remove(entry);
      if (given === held) leases.end(lease.slot);
      else leases.lower(lease.slot, given);
      lifecycle.unpin(entry, given);
    }
    return done;
  }

  isCurrent(lease: Lease, monotonicMs: number): boolean {
    const { tables: { entries, leases }, lifecycle } = this.#parts;
    const entry = leases.entryOf(lease, LEASE.read, monotonicMs);
    return entry !== NONE && entries.get(entry, FIELD.state) === STATE.resident && !lifecycle.isDue(entry);
  }

  /** The age of the clean object of the current key; undefined if there is none. */
  cleanAgeMs(monotonicMs: number): number | undefined {
    const entry = this.#findClean();
    return entry === NONE ? undefined : monotonicMs - this.#parts.tables.entries.getDouble(entry, FIELD.admittedMs);
  }

  /** Makes the clean object of the current key as new as an admission at `confirmedMs`, if it has this version. */
  confirm(version: number, confirmedMs: number): boolean {
    const { tables: { entries, admissions } } = this.#parts;
    const entry = this.#findClean();
    if (entry === NONE || entries.getDouble(entry, FIELD.version) !== version) return false;
    admissions.remove(entry);
    admissions.note(entry, confirmedMs);
    admissions.add(entry);
    return true;
  }

  #findClean(): number {
    const { tables: { entries }, lifecycle, key } = this.#parts;
    const entry = lifecycle.findLive(key);
    return entry !== NONE && entries.hasFlag(entry, FLAG.dirty) ? NONE : entry;
  }
}

/** The error for a full lease table. */
export function noLease(): VitrineError {
  return new VitrineError("no_room", "reserve a read: all leases are taken");
}
