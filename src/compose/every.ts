import { clearInterval, setInterval } from "node:timers";

/** Calls back at an interval until the function it returns is called; keeps no process alive. */
export function every(ms: number, callback: () => void): () => void {
  const timer = setInterval(callback, ms);
  timer.unref();
  return () => clearInterval(timer);
}
