import { SEAT, type SharedKeysLayout } from "./memory.ts";
import type { WordLock } from "./word_lock.ts";

/** Bounds on what all threads together have acknowledged but not yet stored. */
export interface QueueLimits {
  readonly maxEntries: number;
  /** Bytes of objects that the queues may pin in L1. A single larger object is let in when nothing else is queued. */
  readonly maxBytes: number;
}

/** One thread's share of the store queue: how much of the common bound it uses. */
export class QueueShare {
  readonly #words: Int32Array;
  readonly #doubles: Float64Array;
  readonly #lock: WordLock;
  readonly #layout: SharedKeysLayout;
  readonly #place: number;

  constructor(
    words: Int32Array,
    options: { readonly lock: WordLock; readonly layout: SharedKeysLayout; readonly place: number },
  ) {
    this.#words = words;
    this.#doubles = new Float64Array(words.buffer);
    this.#lock = options.lock;
    this.#layout = options.layout;
    this.#place = options.place;
  }

  /** This thread's own. */
  get entries(): number {
    return this.#entriesAt(this.#place);
  }

  get bytes(): number {
    return this.#bytesAt(this.#place);
  }

  /** Of all other threads together. */
  get othersEntries(): number {
    let entries = 0;
    for (let place = 0; place < this.#layout.places; place++) {
      if (place !== this.#place) entries += this.#entriesAt(place);
    }
    return entries;
  }

  /** Takes a place for an object of `bytes`, if it fits under the limits. */
  tryEnter(bytes: number, limits: QueueLimits): boolean {
    return this.#lock.run(() => {
      let entries = 0;
      let queued = 0;
      for (let place = 0; place < this.#layout.places; place++) {
        entries += this.#entriesAt(place);
        queued += this.#bytesAt(place);
      }
      const fits = entries === 0 || (entries < limits.maxEntries && queued + bytes <= limits.maxBytes);
      if (fits) this.#add(1, bytes);
      return fits;
    });
  }

  /** Takes a place in any case: for what is acknowledged already. */
  enter(bytes: number): void {
    this.#lock.run(() => this.#add(1, bytes));
  }

  leave(bytes: number): void {
    this.#lock.run(() => this.#add(-1, -bytes));
  }

  /** Gives the whole share back. */
  reset(): void {
    this.#lock.run(() => this.#add(-this.entries, -this.bytes));
  }

  #add(entries: number, bytes: number): void {
    const row = this.#row(this.#place);
    Atomics.add(this.#words, row + SEAT.entries, entries);
    this.#doubles[(row + SEAT.bytes) >>> 1] = this.bytes + bytes;
  }

  #entriesAt(place: number): number {
    return Atomics.load(this.#words, this.#row(place) + SEAT.entries);
  }

  #bytesAt(place: number): number {
    return this.#doubles[(this.#row(place) + SEAT.bytes) >>> 1] ?? 0;
  }

  #row(place: number): number {
    return this.#layout.at.seats + place * SEAT.words;
  }
}
