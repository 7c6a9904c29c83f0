/** How often a thread looks again before it sleeps, and how long it sleeps before it looks again by itself. */
const SPINS = 1000;
const SLEEP_MS = 10;

/**
 * A mutex between threads over two shared words: the owner (0 = free) and how many sleep.
 * The owner's number stands in the lock, so that a supervisor can tell whether a dead thread held it.
 * Sections are short, synchronous and never nested. On private memory it never contends and never sleeps.
 */
export class SharedLock {
  readonly #words: Int32Array;
  readonly #owner: number;
  readonly #sleepers: number;
  readonly #me: number;

  /** `holder`: this thread's number, 1 or more, unique among those that share the words. */
  constructor(words: Int32Array, index: number, holder: number) {
    this.#words = words;
    this.#owner = index;
    this.#sleepers = index + 1;
    this.#me = holder;
  }

  acquire(): void {
    if (Atomics.compareExchange(this.#words, this.#owner, 0, this.#me) !== 0) this.#contend();
  }

  release(): void {
    Atomics.store(this.#words, this.#owner, 0);
    if (Atomics.load(this.#words, this.#sleepers) > 0) Atomics.notify(this.#words, this.#owner, 1);
  }

  #contend(): void {
    const words = this.#words;
    for (let spin = 0; spin < SPINS; spin++) {
      if (
        Atomics.load(words, this.#owner) === 0 && Atomics.compareExchange(words, this.#owner, 0, this.#me) === 0
      ) return;
    }
    Atomics.add(words, this.#sleepers, 1);
    for (;;) {
      const owner = Atomics.compareExchange(words, this.#owner, 0, this.#me);
      if (owner === 0) break;
      Atomics.wait(words, this.#owner, owner, SLEEP_MS);
    }
    Atomics.sub(words, this.#sleepers, 1);
  }
}
