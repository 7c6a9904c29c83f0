import { clearInterval, clearTimeout, setInterval, setTimeout } from "node:timers";

/** The source of time; tests have their own. */
export interface Clock {
  /**
   * Wall time: milliseconds since the epoch, with fractions. It steps in both directions when the system's clock is set
   * or a laptop wakes up. Use it for what clients see and what is stored: creation, expiry, age, times of events.
   */
  nowMs(): number;
  /**
   * Monotonic time: milliseconds that pass evenly, whatever happens to wall time. It is the same in all threads of a
   * server and means nothing outside it. Use it for durations, deadlines and leases.
   */
  monotonicMs(): number;
}

/** Both times of one thread at one moment, from which another thread starts its clock. */
export interface ClockReading {
  readonly wallMs: number;
  readonly monotonicMs: number;
}

/** Wall time is compared with the system's clock at most this often. */
const CHECK_MS = 1;
/** Date.now() drops fractions, and the system may slew its clock by some parts in ten thousand. */
const TOLERANCE_MS = 2;
/** Longest plausible start of a thread; if it seems to take longer, wall time has stepped meanwhile. */
const MAX_START_MS = 30_000;

/**
 * The system's clock. Monotonic time is the runtime's; wall time has the same resolution and stays within a few
 * milliseconds of Date.now().
 */
export class SystemClock implements Clock {
  readonly #monotonicOffsetMs: number;
  #wallOffsetMs = performance.timeOrigin;
  #checkedMs = -Infinity;

  /**
   * `reading`: from the thread that starts this one, taken right before it does, because runtimes count a thread's
   * monotonic time from its own start.
   */
  constructor(reading?: ClockReading) {
    const atMs = performance.now();
    this.#monotonicOffsetMs = reading === undefined
      ? performance.timeOrigin
      : reading.monotonicMs + startedFor(this.nowMs() - reading.wallMs, atMs) - atMs;
  }

  nowMs(): number {
    const atMs = performance.now();
    if (atMs - this.#checkedMs >= CHECK_MS) this.#check(atMs);
    return atMs + this.#wallOffsetMs;
  }

  monotonicMs(): number {
    return performance.now() + this.#monotonicOffsetMs;
  }

  /** Reads both times. */
  read(): ClockReading {
    return { wallMs: this.nowMs(), monotonicMs: this.monotonicMs() };
  }

  #check(atMs: number): void {
    this.#checkedMs = atMs;
    const aheadMs = atMs + this.#wallOffsetMs - Date.now();
    if (aheadMs >= -TOLERANCE_MS && aheadMs <= 1 + TOLERANCE_MS) return;
    // The thread may be suspended between the two readings; they count only if they are close together.
    for (let attempt = 0; attempt < 3; attempt++) {
      const before = performance.now();
      const wallMs = Date.now();
      this.#wallOffsetMs = wallMs - before;
      if (performance.now() - before < CHECK_MS) return;
    }
  }
}

/** Milliseconds since the reading: by wall time if that is plausible, otherwise this thread's own age. */
function startedFor(byWallMs: number, ageMs: number): number {
  return byWallMs >= 0 && byWallMs <= MAX_START_MS ? byWallMs : ageMs;
}

/**
 * This thread's clock. It agrees with other threads of the process unless the system's clock is set between their
 * starts.
 */
export const systemClock = new SystemClock();

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
