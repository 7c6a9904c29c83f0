import { HEAD } from "./memory.ts";
import type { WordLock } from "./word_lock.ts";

/**
 * Makes versions for ObjectMeta.version: milliseconds * 1024 + a sequence number; grows strictly over all threads, also
 * while a clock stands still or steps back.
 */
export class VersionSource {
  readonly #doubles: Float64Array;
  readonly #lock: WordLock;

  constructor(words: Int32Array, lock: WordLock) {
    this.#doubles = new Float64Array(words.buffer);
    this.#lock = lock;
  }

  next(nowMs: number): number {
    return this.#lock.run(() => {
      const at = HEAD.version >>> 1;
      const version = Math.max((this.#doubles[at] ?? 0) + 1, Math.floor(nowMs) * 1024);
      this.#doubles[at] = version;
      return version;
    });
  }
}
