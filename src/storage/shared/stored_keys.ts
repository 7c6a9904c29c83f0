import type { Fingerprint } from "./fingerprint.ts";
import { type SharedKeysLayout, STORED } from "./memory.ts";

/**
 * The keys that were ever stored, or lost, since the server started, as a Bloom filter (Bloom 1970) whose bits of one
 * key share a cache line (Putze et al. 2007): it may take a key for one of them, never the other way round. Bits are
 * only ever set, each in one atomic step, by any thread.
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

  /** False: certainly never. */
  has(print: Fingerprint): boolean {
    for (let i = 0; i < STORED.bits; i++) {
      if ((Atomics.load(this.#words, this.#wordOf(print, i)) & bitOf(print, i)) === 0) return false;
    }
    return true;
  }

  /** A quarter of the block for each bit, and in it the word by two bits of the lower half, the bit by five. */
  #wordOf({ high, low }: Fingerprint, i: number): number {
    const block = this.#layout.at.stored + (high & (this.#layout.storedBlocks - 1)) * STORED.words;
    return block + i * (STORED.words / STORED.bits) + ((low >>> (i * 8)) & 3);
  }
}

function bitOf({ low }: Fingerprint, i: number): number {
  return 1 << ((low >>> (i * 8 + 2)) & 31);
}
