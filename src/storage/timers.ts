import { clearInterval, setImmediate, setInterval, setTimeout } from "node:timers";

/** How storage waits; tests give their own. */
export interface Timers {
  /** Calls `run` every `everyMs` until the returned function is called; never keeps the process alive. */
  every(everyMs: number, run: () => void): () => void;
  /** Resolves after `delayMs`. */
  after(delayMs: number): Promise<void>;
  /** Resolves when others that wait have had their turn. */
  turn(): Promise<void>;
}

/** The runtime's own timers. */
export const systemTimers: Timers = {
  every: (everyMs, run) => {
    const timer = setInterval(run, everyMs);
    timer.unref();
    return () => clearInterval(timer);
  },
  after: (delayMs) => new Promise((resolve) => void setTimeout(resolve, delayMs)),
  turn: () => new Promise((resolve) => void setImmediate(resolve)),
};

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

/** Counts running things and tells when none is left. */
export class IdleCounter {
  #running = 0;
  #waiting: (() => void)[] = [];

  get running(): number {
    return this.#running;
  }

  enter(): void {
    this.#running += 1;
  }

  leave(): void {
    this.#running -= 1;
    if (this.#running > 0) return;
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const wake of waiting) wake();
  }

  /** Resolves once nothing runs; at once if nothing does. */
  idle(): Promise<void> {
    if (this.#running === 0) return Promise.resolve();
    return new Promise((resolve) => this.#waiting.push(resolve));
  }
}
