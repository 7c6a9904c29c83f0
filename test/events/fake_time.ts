import type { Schedule } from "../../src/core/clock.ts";

/** A clock and timers that the test moves. */
export class FakeTime {
  nowMs = 1000;
  readonly #timers = new Set<{ readonly atMs: number; readonly run: () => void }>();

  readonly clock = { nowMs: () => this.nowMs, monotonicMs: () => this.nowMs };

  readonly schedule: Schedule = (run, delayMs) => {
    const timer = { atMs: this.nowMs + delayMs, run };
    this.#timers.add(timer);
    return () => this.#timers.delete(timer);
  };

  /** Timers that have not run. */
  get pending(): number {
    return this.#timers.size;
  }

  /** Moves on, runs what falls due in its order, and lets promises settle in between. */
  async advance(elapsedMs: number): Promise<void> {
    const endMs = this.nowMs + elapsedMs;
    await settle();
    for (let next = this.#next(endMs); next !== undefined; next = this.#next(endMs)) {
      this.#timers.delete(next);
      this.nowMs = Math.max(this.nowMs, next.atMs);
      next.run();
      await settle();
    }
    this.nowMs = Math.max(this.nowMs, endMs);
  }

  #next(endMs: number): { readonly atMs: number; readonly run: () => void } | undefined {
    return [...this.#timers].filter(({ atMs }) => atMs <= endMs).toSorted((a, b) => a.atMs - b.atMs)[0];
  }
}

/** Lets promise chains run as far as they get without timers and messages. */
export async function settle(): Promise<void> {
  for (let turn = 0; turn < 30; turn++) await Promise.resolve();
}
