import { clearInterval, setInterval, setTimeout } from "node:timers";

/** How storage waits; tests give their own. */
export interface Timers {
  /** Calls `run` every `everyMs` until the returned function is called; never keeps the process alive. */
  every(everyMs: number, run: () => void): () => void;
  /** Resolves after `delayMs`. */
  after(delayMs: number): Promise<void>;
}

/** The runtime's own timers. */
export const systemTimers: Timers = {
  every: (everyMs, run) => {
    const timer = setInterval(run, everyMs);
    timer.unref();
    return () => clearInterval(timer);
  },
  after: (delayMs) => new Promise((resolve) => void setTimeout(resolve, delayMs)),
};
