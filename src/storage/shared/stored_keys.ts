import type { Fingerprint } from "./fingerprint.ts";
import { type SharedKeysLayout, STORED } from "./memory.ts";

/**
 * The keys that were ever stored, or lost, since the server started: a Bloom filter (Bloom 1970) in which the bits of a
 * key share a cache line (Putze et al. 2007). It has false positives but no false negatives. Any thread may set bits,
 * each in one atomic step; none is ever cleared.
 */
export class StoredKeys {
  readonly #words: Int32Array;
  readonly #layout: SharedKeysLayout;

  constructor(words: Int32Array, layout: SharedKeysLayout) {
    this.#words = words;
    this.#layout = layout;
  }

  add(print: Fingerprint): void {
    for (let i = 0; i < STORED.bits; i++) {
      const word = this.#wordOf(print, i);
      const bit = bitOf(print, i);
      if ((Atomics.load(this.#words, word) & bit) === 0) Atomics.or(this.#words, word, bit);
    }
  }

  /** False: the key was certainly never added. */
  has(print: Fingerprint): boolean {
    for (let i = 0; i < STORED.bits; i++) {
      if ((Atomics.load(this.#words, this.#wordOf(print, i)) & bitOf(print, i)) === 0) return false;
    }
    return true;
  }

  /**
   * Each bit has a quarter of the block. There, two bits of the fingerprint's lower half choose the word, and five the
   * bit.
   */
  #wordOf({ high, low }: Fingerprint, i: number): number {
    const block = this.#layout.at.stored + (high & (this.#layout.storedBlocks - 1)) * STORED.words;
    return block + i * (STORED.words / STORED.bits) + ((low >>> (i * 8)) & 3);
  }
}

function bitOf({ low }: Fingerprint, i: number): number {
  return 1 << ((low >>> (i * 8 + 2)) & 31);
}
