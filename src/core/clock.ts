/** Where time comes from; tests give their own. */
export interface Clock {
  /** Milliseconds since the epoch, with fractions. */
  nowMs(): number;
}

const origin = performance.timeOrigin;

/** Wall-clock time from the monotonic clock: finer than Date.now() and never steps back. */
export const systemClock: Clock = { nowMs: () => origin + performance.now() };
