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
