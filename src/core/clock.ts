/** Where time comes from; tests give their own. */
export interface Clock {
  /**
   * Wall time: milliseconds since the epoch, with fractions. It steps, in both directions, when somebody sets the
   * system's clock or a laptop wakes up. For what clients see and what is stored: creation, expiry, age, times of
   * events.
   */
  nowMs(): number;
  /**
   * Milliseconds that pass evenly, whatever happens to wall time; the same in all threads of a server, and nothing
   * outside it. For durations, deadlines and leases.
   */
  monotonicMs(): number;
}

/** Both times of one thread at one moment, for another thread to begin with. */
export interface ClockReading {
  readonly wallMs: number;
  readonly monotonicMs: number;
}

/** Wall time is compared with the system's clock when so much has passed since the last time. */
const CHECK_MS = 1;
/** Date.now() cuts fractions off, and a system's clock is slewed by some parts in ten thousand. */
const TOLERANCE_MS = 2;
/** What the start of a thread can take; beyond it wall time has stepped meanwhile. */
const MAX_START_MS = 30_000;

/**
 * The clocks of the system: monotonic time as the runtime has it, and wall time as fine as that, never more than a few
 * milliseconds from Date.now().
 */
export class SystemClock implements Clock {
  readonly #monotonicOffsetMs: number;
  #wallOffsetMs = performance.timeOrigin;
  #checkedMs = -Infinity;

  /**
   * `reading`: of the thread that starts this one, taken right before; runtimes count each thread's monotonic time from
   * its own start.
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

  /** Both times now. */
  read(): ClockReading {
    return { wallMs: this.nowMs(), monotonicMs: this.monotonicMs() };
  }

  #check(atMs: number): void {
    this.#checkedMs = atMs;
    const aheadMs = atMs + this.#wallOffsetMs - Date.now();
    if (aheadMs >= -TOLERANCE_MS && aheadMs <= 1 + TOLERANCE_MS) return;
    // Between the two looks the thread may have been put aside: only looks close to each other tell.
    for (let look = 0; look < 3; look++) {
      const before = performance.now();
      const wallMs = Date.now();
      this.#wallOffsetMs = wallMs - before;
      if (performance.now() - before < CHECK_MS) return;
    }
  }
}

/** Milliseconds from the reading to now, by wall time, unless that cannot be: then this thread's own age. */
function startedFor(byWallMs: number, ageMs: number): number {
  return byWallMs >= 0 && byWallMs <= MAX_START_MS ? byWallMs : ageMs;
}

/**
 * This thread's clock, in step with the other threads of the process as long as nobody sets the system's clock between
 * their starts.
 */
export const systemClock = new SystemClock();
