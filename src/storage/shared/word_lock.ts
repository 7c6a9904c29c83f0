/** How often a thread looks again before it sleeps, and how long it sleeps before it looks again by itself. */
const SPINS = 200;
const SLEEP_MS = 5;

/**
 * A mutex between threads over two shared words: the owner's holder number (0 = free) and how many sleep. For short
 * synchronous sections that are never nested. What a dead thread held is freed by releaseSeat: sections are written so
 * that one cut off in the middle harms nothing that lasts.
 */
export class WordLock {
  readonly #words: Int32Array;
  readonly #owner: number;
  readonly #me: number;

  constructor(words: Int32Array, index: number, holder: number) {
    this.#words = words;
    this.#owner = index;
    this.#me = holder;
  }

  /** Runs a section alone. */
  run<T>(section: () => T): T {
    if (Atomics.compareExchange(this.#words, this.#owner, 0, this.#me) !== 0) this.#contend();
    try {
      return section();
    } finally {
      // Exchanged, not stored: if this thread was declared dead too early, the lock is another's by now.
      Atomics.compareExchange(this.#words, this.#owner, this.#me, 0);
      if (Atomics.load(this.#words, this.#owner + 1) > 0) Atomics.notify(this.#words, this.#owner, 1);
    }
  }

  #contend(): void {
    for (let spin = 0; spin < SPINS; spin++) {
      if (Atomics.compareExchange(this.#words, this.#owner, 0, this.#me) === 0) return;
    }
    Atomics.add(this.#words, this.#owner + 1, 1);
    for (;;) {
      const owner = Atomics.compareExchange(this.#words, this.#owner, 0, this.#me);
      if (owner === 0) break;
      Atomics.wait(this.#words, this.#owner, owner, SLEEP_MS);
    }
    Atomics.sub(this.#words, this.#owner + 1, 1);
  }
}
