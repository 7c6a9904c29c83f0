import { SharedTable } from "../../core/shared_table.ts";
import type { Arena, Counters } from "./arena.ts";
import { COUNTER, LEASE_WORDS } from "./layout.ts";
import type { Holder, Lease } from "../l1.ts";

const NONE = -1;

/** Words of a lease row. The deadline is a float64 in words 8 and 9. The last three are used by holds alone. */
const KIND = 0;
const GENERATION = 1;
const ENTRY = 2;
const COUNT = 3;
const WORKER_ID = 4;
const NEXT = 5;
const DEADLINE = 8;
const GRANULES = 10;
const HOLDER_HIGH = 6;
const HOLDER_LOW = 7;

/**
 * Kinds of lease rows: unused, read leases on a resident or loading object, a write reservation, or a client's hold on
 * a resident object.
 */
export const LEASE = { free: 0, read: 1, write: 2, hold: 3 } as const;

/** The counter of each kind of leases. */
const COUNTED: Readonly<Record<number, number>> = {
  [LEASE.read]: COUNTER.readLeases,
  [LEASE.write]: COUNTER.writeLeases,
  [LEASE.hold]: COUNTER.holds,
};

/** A lease row. Its token represents `count` leases. */
export interface LiveLease {
  readonly slot: number;
  readonly kind: number;
  readonly entry: number;
  readonly count: number;
  readonly deadlineMs: number;
}

/**
 * Reservations in shared memory, one row each. A token names a row and its generation. Freeing the row increments the
 * generation, which makes old tokens stale. Not locked: the caller holds the arena's lock.
 */
export class LeaseTable {
  readonly #rows: SharedTable;
  readonly #counters: Counters;
  readonly #max: number;
  readonly #workerId: number;

  /** `workerId`: owner of the leases that are given through this view. */
  constructor(arena: Arena, counters: Counters, workerId: number) {
    this.#rows = new SharedTable(arena, arena.layout.at.leases, LEASE_WORDS);
    this.#counters = counters;
    this.#max = arena.layout.maxLeases;
    this.#workerId = workerId;
  }

  format(): void {
    this.#counters.set(COUNTER.leasesTop, 0);
    this.#counters.set(COUNTER.leasesFree, NONE);
    this.#counters.set(COUNTER.leaseRows, 0);
    this.#counters.set(COUNTER.readLeases, 0);
    this.#counters.set(COUNTER.writeLeases, 0);
    this.#counters.set(COUNTER.holds, 0);
    this.#counters.set(COUNTER.heldGranules, 0);
  }

  /** Gives a new lease; undefined if all rows are taken. For a deadline of Infinity see isEndless. */
  give(kind: 1 | 2, entry: number, count: number, deadlineMs: number): Lease | undefined {
    const slot = this.#take();
    if (slot === NONE) return undefined;
    this.#begin(slot, { kind, entry, count, deadlineMs });
    return this.tokenOf(slot);
  }

  /** Gives a hold on an entry of so many granules; false if all rows are taken. */
  hold(
    entry: number,
    { holder, granules, deadlineMs }: {
      readonly holder: Holder;
      readonly granules: number;
      readonly deadlineMs: number;
    },
  ): boolean {
    const slot = this.#take();
    if (slot === NONE) return false;
    this.#rows.set(slot, HOLDER_HIGH, holder.high);
    this.#rows.set(slot, HOLDER_LOW, holder.low);
    this.#rows.set(slot, GRANULES, granules);
    this.#begin(slot, { kind: LEASE.hold, entry, count: 1, deadlineMs });
    this.#counters.add(COUNTER.heldGranules, granules);
    return true;
  }

  /** The slots of a holder's holds in [start, end). */
  *heldBy(holder: Holder, start: number, end: number): Generator<number> {
    for (let slot = start; slot < Math.min(end, this.top); slot++) {
      const isHeld = this.#rows.get(slot, KIND) === LEASE.hold && this.#rows.get(slot, HOLDER_HIGH) === holder.high &&
        this.#rows.get(slot, HOLDER_LOW) === holder.low;
      if (isHeld) yield slot;
    }
  }

  /** One above the highest row ever given. */
  get top(): number {
    return this.#counters.get(COUNTER.leasesTop);
  }

  /** The entry of a live lease. */
  entryAt(slot: number): number {
    return this.#rows.get(slot, ENTRY);
  }

  /** A free row, which is in use from now on; -1 if there is none. */
  #take(): number {
    let slot = this.#counters.get(COUNTER.leasesFree);
    if (slot === NONE) {
      slot = this.#counters.get(COUNTER.leasesTop);
      if (slot >= this.#max) return NONE;
      this.#counters.set(COUNTER.leasesTop, slot + 1);
    } else {
      this.#counters.set(COUNTER.leasesFree, this.#rows.get(slot, NEXT));
    }
    return slot;
  }

  #begin(slot: number, { kind, entry, count, deadlineMs }: Omit<LiveLease, "slot">): void {
    this.#rows.set(slot, ENTRY, entry);
    this.#rows.set(slot, COUNT, count);
    this.#rows.set(slot, WORKER_ID, this.#workerId);
    this.#rows.setDouble(slot, DEADLINE, deadlineMs);
    this.#rows.set(slot, KIND, kind);
    this.#counters.add(COUNTER.leaseRows, 1);
    this.#count(kind, count);
  }

  /** The entry of a live token; -1 if the token is stale, past its deadline or of another kind. */
  entryOf(lease: Lease, kind: 1 | 2, monotonicMs: number): number {
    const { slot } = lease;
    if (slot < 0 || slot >= this.#counters.get(COUNTER.leasesTop)) return NONE;
    if (this.#rows.get(slot, GENERATION) !== lease.generation || this.#rows.get(slot, KIND) !== kind) return NONE;
    return this.isOverdue(slot, monotonicMs) ? NONE : this.#rows.get(slot, ENTRY);
  }

  /** The token of a live lease. */
  tokenOf(slot: number): Lease {
    return { slot, generation: this.#rows.get(slot, GENERATION) };
  }

  isOverdue(slot: number, monotonicMs: number): boolean {
    return this.#rows.getDouble(slot, DEADLINE) <= monotonicMs;
  }

  /** True if a lease has no deadline. Such a lease is neither renewed nor expired, but given back or adopted. */
  isEndless(slot: number): boolean {
    return this.#rows.getDouble(slot, DEADLINE) === Infinity;
  }

  /** Transfers a live lease to this view's worker. */
  takeOver(slot: number): void {
    this.#rows.set(slot, WORKER_ID, this.#workerId);
  }

  /** Number of lease rows that can still be given. */
  get spare(): number {
    return this.#max - this.#counters.get(COUNTER.leaseRows);
  }

  /** Number of leases that the token still represents. */
  countOf(slot: number): number {
    return this.#rows.get(slot, COUNT);
  }

  /** Lowers the number of leases that a token represents by `count`. */
  lower(slot: number, count: number): void {
    this.#rows.set(slot, COUNT, this.countOf(slot) - count);
    this.#count(this.#rows.get(slot, KIND), -count);
  }

  setDeadline(slot: number, deadlineMs: number): void {
    this.#rows.setDouble(slot, DEADLINE, deadlineMs);
  }

  /** Ends a lease. The first write makes its token stale, before the row can be given again. */
  end(slot: number): void {
    const kind = this.#rows.get(slot, KIND);
    this.#rows.set(slot, GENERATION, (this.#rows.get(slot, GENERATION) + 1) | 0);
    this.#rows.set(slot, KIND, LEASE.free);
    this.#rows.set(slot, NEXT, this.#counters.get(COUNTER.leasesFree));
    this.#counters.set(COUNTER.leasesFree, slot);
    this.#counters.add(COUNTER.leaseRows, -1);
    this.#count(kind, -this.countOf(slot));
    if (kind === LEASE.hold) this.#counters.add(COUNTER.heldGranules, -this.#rows.get(slot, GRANULES));
  }

  /** Live leases that satisfy `which`. */
  *live(
    which: (deadlineMs: number, workerId: number) => boolean,
  ): Generator<LiveLease> {
    const top = this.#counters.get(COUNTER.leasesTop);
    for (let slot = 0; slot < top; slot++) {
      const kind = this.#rows.get(slot, KIND);
      if (kind === LEASE.free) continue;
      const deadlineMs = this.#rows.getDouble(slot, DEADLINE);
      if (which(deadlineMs, this.#rows.get(slot, WORKER_ID))) {
        yield { slot, kind, entry: this.#rows.get(slot, ENTRY), count: this.#rows.get(slot, COUNT), deadlineMs };
      }
    }
  }

  /** Ends the leases that do not satisfy `isSound`, of all workers, and rebuilds the counts and the free list. */
  rebuild(isSound: (lease: { readonly slot: number; readonly kind: number; readonly entry: number }) => boolean): void {
    const top = this.#counters.get(COUNTER.leasesTop);
    this.format();
    this.#counters.set(COUNTER.leasesTop, top);
    for (let slot = top - 1; slot >= 0; slot--) {
      const kind = this.#rows.get(slot, KIND);
      if (kind !== LEASE.free && isSound({ slot, kind, entry: this.#rows.get(slot, ENTRY) })) {
        this.#counters.add(COUNTER.leaseRows, 1);
        this.#count(kind, this.countOf(slot));
        if (kind === LEASE.hold) this.#counters.add(COUNTER.heldGranules, this.#rows.get(slot, GRANULES));
        continue;
      }
      if (kind !== LEASE.free) this.#rows.set(slot, GENERATION, (this.#rows.get(slot, GENERATION) + 1) | 0);
      this.#rows.set(slot, KIND, LEASE.free);
      this.#rows.set(slot, NEXT, this.#counters.get(COUNTER.leasesFree));
      this.#counters.set(COUNTER.leasesFree, slot);
    }
  }

  #count(kind: number, change: number): void {
    this.#counters.add(COUNTED[kind] ?? COUNTER.holds, change);
  }
}
