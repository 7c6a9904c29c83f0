import { SEAT, type SharedKeysLayout } from "./memory.ts";

/** Who sits where: each place has at most one living thread, known by its holder number, which is never given again. */
export class Seats {
  readonly #words: Int32Array;
  readonly #at: number;
  readonly places: number;

  constructor(words: Int32Array, layout: SharedKeysLayout) {
    this.#words = words;
    this.#at = layout.at.seats;
    this.places = layout.places;
  }

  /** Throws RangeError if there is no such place, or somebody else has it who is not to be replaced. */
  take(place: number, holder: number, replaces: (other: number) => boolean): void {
    if (!(place >= 0 && place < this.places && holder >= 1)) {
      throw new RangeError(`take a seat: place ${place}, holder ${holder}`);
    }
    for (let before = this.holderAt(place);;) {
      if (before !== 0 && !replaces(before)) {
        throw new RangeError(`take a seat: place ${place} belongs to holder ${before}`);
      }
      const found = Atomics.compareExchange(this.#words, this.#row(place), before, holder);
      if (found === before) return;
      before = found;
    }
  }

  /** From here on nobody hands anything to this holder. False if it did not sit there. */
  leave(place: number, holder: number): boolean {
    return Atomics.compareExchange(this.#words, this.#row(place), holder, 0) === holder;
  }

  /** Who sits there, or 0. */
  holderAt(place: number): number {
    return Atomics.load(this.#words, this.#row(place));
  }

  #row(place: number): number {
    return this.#at + place * SEAT.words + SEAT.holder;
  }
}
