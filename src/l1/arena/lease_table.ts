import type { Arena } from "./arena.ts";
import type { Counters } from "./counters.ts";
import { COUNTER, LEASE_WORDS } from "./layout.ts";
import type { Lease } from "../l1.ts";

const NONE = -1;

/** Words of a lease row. The deadline is a float64 in words 8 and 9. */
const KIND = 0;
const GENERATION = 1;
const ENTRY = 2;
const COUNT = 3;
const HOLDER = 4;
const NEXT = 5;
const DEADLINE = 8;

/** Kinds of lease rows: unused, read leases on a resident or loading object, or a write reservation. */
export const LEASE = { free: 0, read: 1, write: 2 } as const;

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
  readonly #words: Int32Array;
  readonly #doubles: Float64Array;
  readonly #counters: Counters;
  readonly #rows: number;
  readonly #max: number;
  readonly #holder: number;

  /** `holder`: holder number of the leases that are given through this view. */
  constructor(arena: Arena, counters: Counters, holder: number) {
    this.#words = arena.words;
    this.#doubles = arena.doubles;
    this.#counters = counters;
    this.#rows = arena.layout.at.leases;
    this.#max = arena.layout.maxLeases;
    this.#holder = holder;
  }

  format(): void {
    this.#counters.set(COUNTER.leasesTop, 0);
    this.#counters.set(COUNTER.leasesFree, NONE);
    this.#counters.set(COUNTER.leaseRows, 0);
    this.#counters.set(COUNTER.readLeases, 0);
    this.#counters.set(COUNTER.writeLeases, 0);
  }

  /** Gives a new lease; undefined if all rows are taken. For a deadline of Infinity see isEndless. */
  give(kind: 1 | 2, entry: number, count: number, deadlineMs: number): Lease | undefined {
    const w = this.#words;
    let slot = this.#counters.get(COUNTER.leasesFree);
    if (slot === NONE) {
      slot = this.#counters.get(COUNTER.leasesTop);
      if (slot >= this.#max) return undefined;
      this.#counters.set(COUNTER.leasesTop, slot + 1);
    } else {
      this.#counters.set(COUNTER.leasesFree, this.#get(slot, NEXT));
    }
    const row = this.#row(slot);
    w[row + ENTRY] = entry;
    w[row + COUNT] = count;
    w[row + HOLDER] = this.#holder;
    this.#doubles[(row + DEADLINE) >>> 1] = deadlineMs;
    w[row + KIND] = kind;
    this.#counters.add(COUNTER.leaseRows, 1);
    this.#count(kind, count);
    return { slot, generation: this.#get(slot, GENERATION) };
  }

  /** The entry of a live token; -1 if the token is stale, past its deadline or of another kind. */
  entryOf(lease: Lease, kind: 1 | 2, monotonicMs: number): number {
    const { slot } = lease;
    if (slot < 0 || slot >= this.#counters.get(COUNTER.leasesTop)) return NONE;
    if (this.#get(slot, GENERATION) !== lease.generation || this.#get(slot, KIND) !== kind) return NONE;
    return this.isOverdue(slot, monotonicMs) ? NONE : this.#get(slot, ENTRY);
  }

  /** The token of a live lease. */
  tokenOf(slot: number): Lease {
    return { slot, generation: this.#get(slot, GENERATION) };
  }

  isOverdue(slot: number, monotonicMs: number): boolean {
    return (this.#doubles[(this.#row(slot) + DEADLINE) >>> 1] ?? 0) <= monotonicMs;
  }

  /** True if a lease has no deadline. Such a lease is neither renewed nor expired, but given back or adopted. */
  isEndless(slot: number): boolean {
    return this.#doubles[(this.#row(slot) + DEADLINE) >>> 1] === Infinity;
  }

  /** Transfers a live lease to this view's holder. */
  takeOver(slot: number): void {
    this.#words[this.#row(slot) + HOLDER] = this.#holder;
  }

  /** Number of lease rows that can still be given. */
  get spare(): number {
    return this.#max - this.#counters.get(COUNTER.leaseRows);
  }

  /** Number of leases that the token still represents. */
  countOf(slot: number): number {
    return this.#get(slot, COUNT);
  }

  /** Lowers the number of leases that a token represents by `count`. */
  lower(slot: number, count: number): void {
    this.#words[this.#row(slot) + COUNT] = this.countOf(slot) - count;
    this.#count(this.#get(slot, KIND), -count);
  }

  setDeadline(slot: number, deadlineMs: number): void {
    this.#doubles[(this.#row(slot) + DEADLINE) >>> 1] = deadlineMs;
  }

  /** Ends a lease. The first write makes its token stale, before the row can be given again. */
  end(slot: number): void {
    const row = this.#row(slot);
    const kind = this.#get(slot, KIND);
    this.#words[row + GENERATION] = (this.#get(slot, GENERATION) + 1) | 0;
    this.#words[row + KIND] = LEASE.free;
    this.#words[row + NEXT] = this.#counters.get(COUNTER.leasesFree);
    this.#counters.set(COUNTER.leasesFree, slot);
    this.#counters.add(COUNTER.leaseRows, -1);
    this.#count(kind, -this.countOf(slot));
  }

  /** Live leases that satisfy `which`. */
  *live(
    which: (deadlineMs: number, holder: number) => boolean,
  ): Generator<LiveLease> {
    const top = this.#counters.get(COUNTER.leasesTop);
    for (let slot = 0; slot < top; slot++) {
      const kind = this.#get(slot, KIND);
      if (kind === LEASE.free) continue;
      const deadlineMs = this.#doubles[(this.#row(slot) + DEADLINE) >>> 1] ?? 0;
      if (which(deadlineMs, this.#get(slot, HOLDER))) {
        yield { slot, kind, entry: this.#get(slot, ENTRY), count: this.#get(slot, COUNT), deadlineMs };
      }
    }
  }

  /** Ends the leases that do not satisfy `isSound`, of all holders, and rebuilds the counts and the free list. */
  rebuild(isSound: (lease: { readonly slot: number; readonly kind: number; readonly entry: number }) => boolean): void {
    const top = this.#counters.get(COUNTER.leasesTop);
    this.format();
    this.#counters.set(COUNTER.leasesTop, top);
    for (let slot = top - 1; slot >= 0; slot--) {
      const kind = this.#get(slot, KIND);
      if (kind !== LEASE.free && isSound({ slot, kind, entry: this.#get(slot, ENTRY) })) {
        this.#counters.add(COUNTER.leaseRows, 1);
        this.#count(kind, this.countOf(slot));
        continue;
      }
      if (kind !== LEASE.free) this.#words[this.#row(slot) + GENERATION] = (this.#get(slot, GENERATION) + 1) | 0;
      this.#words[this.#row(slot) + KIND] = LEASE.free;
      this.#words[this.#row(slot) + NEXT] = this.#counters.get(COUNTER.leasesFree);
      this.#counters.set(COUNTER.leasesFree, slot);
    }
  }

  #row(slot: number): number {
    return this.#rows + slot * LEASE_WORDS;
  }

  #get(slot: number, field: number): number {
    return this.#words[this.#row(slot) + field] ?? 0;
  }

  #count(kind: number, change: number): void {
    this.#counters.add(kind === LEASE.read ? COUNTER.readLeases : COUNTER.writeLeases, change);
  }
}
