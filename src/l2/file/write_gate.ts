import { setTimeout as wait } from "node:timers/promises";
import { faultOf } from "./faults.ts";

/** How long a write waits for a lock that another process has on the index, in milliseconds. */
const PATIENCE_MS = 30_000;
const FIRST_PAUSE_MS = 2;
const LONGEST_PAUSE_MS = 50;

/**
 * Lets one write at a time try for the lock of the index, and waits between tries without holding the event loop. SQLite itself waits only for a few
 * milliseconds (`busy_timeout`), which is enough for the other threads of the process; in longer waits somebody else has the lock.
 */
export class WriteGate {
  #waiting = 0;
  #last: Promise<void> = Promise.resolve();

  /** Runs a synchronous write, in the order of calls, at once if nobody waits. Throws SQLite's "database is locked" if the lock does not come free in time. */
  async run<T>(write: () => T): Promise<T> {
    const deadlineMs = performance.now() + PATIENCE_MS;
    if (this.#waiting === 0) {
      try {
        return write();
      } catch (error) {
        if (faultOf(error) !== "busy") throw error;
      }
    }
    const before = this.#last;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#last = promise;
    this.#waiting += 1;
    try {
      await before;
      return await retryWhileBusy(write, deadlineMs);
    } finally {
      this.#waiting -= 1;
      resolve();
    }
  }

  /** Runs a read, which waits for no write and for no other read. */
  async read<T>(read: () => T): Promise<T> {
    return await retryWhileBusy(read, performance.now() + PATIENCE_MS);
  }
}

async function retryWhileBusy<T>(work: () => T, deadlineMs: number): Promise<T> {
  for (let pauseMs = FIRST_PAUSE_MS;; pauseMs = Math.min(2 * pauseMs, LONGEST_PAUSE_MS)) {
    try {
      return work();
    } catch (error) {
      if (faultOf(error) !== "busy" || performance.now() >= deadlineMs) throw error;
    }
    await wait(pauseMs);
  }
}
