import { HEAD } from "./memory.ts";

/**
 * Makes versions for ObjectMeta.version: milliseconds * 1024 + a sequence number; grows strictly over all threads, also
 * while a clock stands still or steps back.
 */
export class VersionSource {
  readonly #words: BigInt64Array;

  constructor(words: Int32Array) {
    this.#words = new BigInt64Array(words.buffer, 0, HEAD.words / 2);
  }

  next(nowMs: number): number {
    const byClock = BigInt(Math.floor(nowMs)) * 1024n;
    const at = HEAD.version >>> 1;
    for (let last = Atomics.load(this.#words, at);;) {
      const version = byClock > last ? byClock : last + 1n;
      const found = Atomics.compareExchange(this.#words, at, last, version);
      if (found === last) return Number(version);
      last = found;
    }
  }
}
