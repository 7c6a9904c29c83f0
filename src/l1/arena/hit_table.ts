import { type AtomicWords, SharedTable } from "../../core/shared_table.ts";
import type { Arena, Counters } from "./arena.ts";
import { COUNTER, HITTER_WORDS, MAX_HITTERS } from "./layout.ts";

const NONE = -1;

/** Words of a row. The deadline is a float64 in words 2 and 3; 0 = none. */
const WORKER_ID = 0;
const HIT = 1;
const DEADLINE = 2;

/** Worker id of a row that nobody may have again, because an abandoned thread may still write into it. */
const ABANDONED = -1;

/** The word of a hit: its entry plus one, and whether the entry is pinned for it. */
const NO_HIT = 0;
const PINNED = 1 << 30;

/**
 * The entries that threads read at this moment without a lease (hazard pointers: Michael, "Hazard Pointers: Safe Memory
 * Reclamation for Lock-Free Objects", 2004). A row belongs to one thread, which announces one entry at a time in it.
 * Whoever is about to free an entry looks for it here, and if it is announced, pins it on behalf of the reader, who
 * then gives the pin back under the lock. Only `begin` and `end` are called without the arena's lock.
 */
export class HitTable {
  readonly #rows: SharedTable;
  readonly #atomics: AtomicWords;
  readonly #counters: Counters;
  readonly #workerId: number;
  /** This thread's row, or -1. */
  #mine = NONE;

  /** `workerId`: this thread's number. */
  constructor(arena: Arena, counters: Counters, workerId: number) {
    this.#rows = new SharedTable(arena, arena.layout.at.hitters, HITTER_WORDS);
    this.#atomics = arena.atomics;
    this.#counters = counters;
    this.#workerId = workerId;
  }

  format(): void {
    this.#counters.set(COUNTER.hittersTop, 0);
  }

  /** True if this thread has a row. */
  get hasRow(): boolean {
    return this.#mine !== NONE;
  }

  /** Gives this thread a row. False if all are taken. */
  claim(): boolean {
    const top = this.#top;
    const mine = this.#rowOf(this.#workerId);
    const free = mine === NONE ? this.#rowOf(0) : mine;
    const row = free === NONE ? top : free;
    if (row >= MAX_HITTERS) return false;
    this.#rows.set(row, WORKER_ID, this.#workerId);
    this.#counters.set(COUNTER.hittersTop, Math.max(top, row + 1));
    this.#mine = row;
    return true;
  }

  /** Announces that this thread is about to read an entry. It must check afterwards that the entry is resident. */
  begin(entry: number): void {
    this.#rows.store(this.#mine, HIT, entry + 1);
  }

  /** The reading is over. False if the entry was pinned for it: the thread must call `clear` with the lock. */
  end(entry: number): boolean {
    return this.#atomics.replace(this.#rows.wordAt(this.#mine, HIT), entry + 1, NO_HIT);
  }

  /** Pins an entry for the threads that have announced it, and returns their number. */
  pin(entry: number): number {
    let pins = 0;
    for (let row = 0, top = this.#top; row < top; row++) {
      if (this.#atomics.replace(this.#rows.wordAt(row, HIT), entry + 1, (entry + 1) | PINNED)) pins++;
    }
    return pins;
  }

  /** Ends this thread's hit; returns the entry that was pinned for it, or -1. */
  clear(): number {
    return this.#clear(this.#mine);
  }

  /** Ends a dead thread's hit and frees its row; returns the entry that was pinned, or -1. */
  release(workerId: number): number {
    return this.#retire(this.#rowOf(workerId), 0);
  }

  /** Ends the hit of a thread that may still run, but not before `deadlineMs`. */
  disown(workerId: number, deadlineMs: number): void {
    const row = this.#rowOf(workerId);
    if (row !== NONE) this.#rows.setDouble(row, DEADLINE, deadlineMs);
  }

  /** Ends the hits of disowned threads that are due; yields the entries that were pinned. */
  *expire(monotonicMs: number): Generator<number> {
    for (let row = 0; row < this.#top; row++) {
      const deadlineMs = this.#rows.getDouble(row, DEADLINE);
      if (deadlineMs === 0 || deadlineMs > monotonicMs) continue;
      const entry = this.#retire(row, ABANDONED);
      if (entry !== NONE) yield entry;
    }
  }

  /**
   * For a repair: pins the announced entries that `mayBeRead`, and yields all that are pinned, once for each thread.
   */
  *pinAll(mayBeRead: (entry: number) => boolean): Generator<number> {
    for (let row = 0; row < this.#top; row++) {
      const hit = this.#rows.load(row, HIT);
      const entry = (hit & ~PINNED) - 1;
      if (hit === NO_HIT) continue;
      const isPinned = (hit & PINNED) !== 0 ||
        (mayBeRead(entry) && this.#atomics.replace(this.#rows.wordAt(row, HIT), hit, hit | PINNED));
      if (isPinned) yield entry;
    }
  }

  /** For a repair: takes the pins off the entries that had to be dropped. */
  unpinAll(isDropped: (entry: number) => boolean): void {
    for (let row = 0; row < this.#top; row++) {
      const hit = this.#rows.load(row, HIT);
      const entry = (hit & ~PINNED) - 1;
      if ((hit & PINNED) !== 0 && isDropped(entry)) this.#rows.store(row, HIT, entry + 1);
    }
  }

  /** One above the highest row ever used. */
  get #top(): number {
    return this.#counters.get(COUNTER.hittersTop);
  }

  #rowOf(workerId: number): number {
    for (let row = 0; row < this.#top; row++) if (this.#rows.get(row, WORKER_ID) === workerId) return row;
    return NONE;
  }

  #clear(row: number): number {
    const hit = this.#rows.load(row, HIT);
    this.#rows.store(row, HIT, NO_HIT);
    return (hit & PINNED) === 0 ? NONE : (hit & ~PINNED) - 1;
  }

  #retire(row: number, workerId: number): number {
    if (row === NONE) return NONE;
    const entry = this.#clear(row);
    this.#rows.setDouble(row, DEADLINE, 0);
    this.#rows.set(row, WORKER_ID, workerId);
    return entry;
  }
}
