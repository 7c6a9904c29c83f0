/** Where time comes from; tests give their own. */
export interface Clock {
  /** Milliseconds since the epoch, with fractions. */
  nowMs(): number;
}

/** Wall-clock time from the monotonic clock: finer than Date.now() and never steps back. */
export const systemClock: Clock = { nowMs: () => performance.timeOrigin + performance.now() };
