import type { Clock } from "../../core/clock.ts";

/**
 * Times of use for the order of eviction, which outlives the process: they begin at wall time, never before the newest that is stored, and go on with the
 * monotonic clock. So a clock that is set back makes nothing that is used now look as if it had not been used for long.
 */
export class UseTimes {
  readonly #clock: Clock;
  readonly #offsetMs: number;

  /** `newestMs`: the newest time of use that is stored, 0 if none is. */
  constructor(clock: Clock, newestMs: number) {
    this.#clock = clock;
    this.#offsetMs = Math.max(clock.nowMs(), newestMs) - clock.monotonicMs();
  }

  now(): number {
    return this.#clock.monotonicMs() + this.#offsetMs;
  }
}
