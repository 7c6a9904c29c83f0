import type { Timers } from "./timers.ts";

/** How often to look, in milliseconds. */
const POLL_MS = 2;

interface Waiting {
  readonly ready: () => boolean;
  readonly resolve: () => void;
  readonly reject: (reason: unknown) => void;
}

/**
 * Waits for what other threads do in shared memory. They send no message, and Atomics.waitAsync is not to be relied on
 * (docs/STORAGE.md), so it looks every few milliseconds, with one timer for all that wait.
 */
export class Poller {
  readonly #timers: Timers;
  readonly #waiting = new Set<Waiting>();
  #looking = false;

  constructor(timers: Timers) {
    this.#timers = timers;
  }

  /** Resolves once `ready` is true; asks at once and then again and again, also once more than needed. */
  until(ready: () => boolean): Promise<void> {
    if (ready()) return Promise.resolve();
    return new Promise((resolve, reject) => {
      this.#waiting.add({ ready, resolve, reject });
      if (!this.#looking) void this.#look();
    });
  }

  async #look(): Promise<void> {
    this.#looking = true;
    while (this.#waiting.size > 0) {
      await this.#timers.after(POLL_MS);
      for (const waiting of this.#waiting) this.#ask(waiting);
    }
    this.#looking = false;
  }

  #ask(waiting: Waiting): void {
    try {
      if (!waiting.ready()) return;
      waiting.resolve();
    } catch (error) {
      waiting.reject(error);
    }
    this.#waiting.delete(waiting);
  }
}
