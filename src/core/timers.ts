import { clearInterval, clearTimeout, setInterval, setTimeout } from "node:timers";

/** Calls `run` once after a delay; the returned function cancels that. */
export type Schedule = (run: () => void, delayMs: number) => () => void;

/** Calls `run` at an interval until the returned function is called. */
export type Every = (intervalMs: number, run: () => void) => () => void;

/** A timer that does not keep the process alive. */
export const unrefTimer: Schedule = (run, delayMs) => {
  const timer = setTimeout(run, delayMs);
  timer.unref();
  return () => clearTimeout(timer);
};

/** An interval that does not keep the process alive. */
export const every: Every = (intervalMs, run) => {
  const timer = setInterval(run, intervalMs);
  timer.unref();
  return () => clearInterval(timer);
};

/** Resolves after pending timers and messages of this thread have run. */
export function nextTurn(): Promise<void> {
  return new Promise((resolve) => void setTimeout(resolve, 0));
}

/** The result of a promise, or undefined if it takes longer than the timeout. Keeps the process alive meanwhile. */
export async function within<T>(timeoutMs: number, promise: Promise<T>): Promise<T | undefined> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const timeout = new Promise<undefined>((resolve) => timer = setTimeout(resolve, timeoutMs, undefined));
  try {
    return await Promise.race([promise, timeout]);
  } finally {
    clearTimeout(timer);
  }
}
