import { eventNames } from "../schema.ts";

const PER_TYPE = 3;
const PUBLISHED = 0;
const SHED = 1;
const UNDECIDED = 2;
const OLDEST = eventNames.length * PER_TYPE;
const RESENT = OLDEST + 1;
const WINDOW_FULL_MS = OLDEST + 2;
const LENGTH = OLDEST + 3;

/**
 * One producer's counters in memory that outlives it, so that a collector knows what a dead worker had published. Only
 * the producer writes. Counters run over at 2^32; the reader sees to that. Types go by their place in the catalogue.
 */
export class CounterRow {
  /** Bytes a row needs. */
  static readonly sizeBytes = LENGTH * 4;
  readonly #cells: Int32Array;

  /** Without memory, the row is this thread's own. */
  constructor(memory: ArrayBufferLike = new ArrayBuffer(CounterRow.sizeBytes)) {
    this.#cells = new Int32Array(memory, 0, LENGTH);
  }

  /** Memory for the row of a producer on another thread. */
  static allocate(): SharedArrayBuffer {
    return new SharedArrayBuffer(CounterRow.sizeBytes);
  }

  /** Events published, since the producer knows who wants what. */
  published(type: number): number {
    return this.#load(type * PER_TYPE + PUBLISHED);
  }

  setPublished(type: number, count: number): void {
    Atomics.store(this.#cells, type * PER_TYPE + PUBLISHED, count | 0);
  }

  /** Events folded although someone wanted details. */
  shed(type: number): number {
    return this.#load(type * PER_TYPE + SHED);
  }

  setShed(type: number, count: number): void {
    Atomics.store(this.#cells, type * PER_TYPE + SHED, count | 0);
  }

  /** Events that happened before the producer knew whether anyone wants them. */
  undecided(type: number): number {
    return this.#load(type * PER_TYPE + UNDECIDED);
  }

  setUndecided(type: number, count: number): void {
    Atomics.store(this.#cells, type * PER_TYPE + UNDECIDED, count | 0);
  }

  /** How long the oldest event has waited for its dispatch; 0 if none waits. */
  lagMs(monotonicMs: number): number {
    const sinceMs = Atomics.load(this.#cells, OLDEST);
    // Wraps every 49 days; the difference of two times is right all the same.
    return sinceMs === 0 ? 0 : Math.max(0, ((monotonicMs | 0) - sinceMs) | 0);
  }

  setOldest(timeMs: number | undefined): void {
    Atomics.store(this.#cells, OLDEST, timeMs === undefined ? 0 : (timeMs | 0) || 1);
  }

  /** Batches sent again. */
  get resent(): number {
    return this.#load(RESENT);
  }

  set resent(count: number) {
    Atomics.store(this.#cells, RESENT, count | 0);
  }

  /** Time with as many batches unacknowledged as may be. */
  get windowFullMs(): number {
    return this.#load(WINDOW_FULL_MS);
  }

  set windowFullMs(elapsedMs: number) {
    Atomics.store(this.#cells, WINDOW_FULL_MS, elapsedMs | 0);
  }

  #load(index: number): number {
    return Atomics.load(this.#cells, index) >>> 0;
  }
}
