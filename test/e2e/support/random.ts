/** Repeatable random numbers (mulberry32): the same seed gives the same sequence on every runtime. Not for secrets. */
export class Random {
  #state: number;

  constructor(seed: number) {
    this.#state = seed >>> 0;
  }

  /** A 32-bit unsigned number. */
  uint32(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(this.#state ^ (this.#state >>> 15), this.#state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return (mixed ^ (mixed >>> 14)) >>> 0;
  }

  /** A whole number from 0 to `limit` - 1. */
  below(limit: number): number {
    return Math.floor((this.uint32() / 2 ** 32) * limit);
  }

  /** A whole number from `min` to `max`, small ones as likely as large ones. */
  logUniform(min: number, max: number): number {
    return Math.floor(min * (max / min) ** (this.uint32() / 2 ** 32));
  }

  /** `sizeBytes` random bytes. */
  bytes(sizeBytes: number): Uint8Array<ArrayBuffer> {
    const words = new Uint32Array(Math.ceil(sizeBytes / 4));
    for (let i = 0; i < words.length; i++) words[i] = this.uint32();
    return new Uint8Array(words.buffer, 0, sizeBytes);
  }

  /** The items in a random order. */
  shuffled<T>(items: readonly T[]): readonly T[] {
    return items.map((item) => ({ item, rank: this.uint32() })).toSorted((a, b) => a.rank - b.rank)
      .map(({ item }) => item);
  }
}
