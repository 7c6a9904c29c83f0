import type { ThreadUsage } from "../../runtime/thread.ts";

/** The observations of one look at a worker. */
export interface Look {
  readonly heartbeat: number;
  /** Time since the last look that the onlooker was not kept waiting itself. */
  readonly elapsedMs: number;
  /** Asked only if the heartbeat stands still. */
  readonly usage: () => ThreadUsage | "ended" | undefined;
}

/**
 * Of the time in which a thread was runnable and had no core, this part counts all the same: no accounting is trusted
 * for ever.
 */
const STARVED_SHARE = 1 / 20;

/**
 * Measures how long a worker has been silent, in time that it could have used. A thread that is runnable is charged for
 * its time on a core only, since the rest was the machine's; one that waits in a blocking call is charged for all of
 * it, and so is one of which the system says nothing.
 */
export class Silence {
  #heartbeat: number;
  #cpuMs: number | undefined;
  #isRunnable = false;
  #ms = 0;

  constructor(heartbeat: number) {
    this.#heartbeat = heartbeat;
  }

  get ms(): number {
    return this.#ms;
  }

  /** True if the thread was busy at the last look: a thread that waits may wait for one that is busy. */
  get isBusy(): boolean {
    return this.#isRunnable;
  }

  /** True if the worker's heartbeat has not changed since the last look. */
  isUnbroken(heartbeat: number): boolean {
    return heartbeat === this.#heartbeat;
  }

  /** Counts from now on. */
  restart(): void {
    this.#cpuMs = undefined;
    this.#isRunnable = false;
    this.#ms = 0;
  }

  look({ heartbeat, elapsedMs, usage }: Look): void {
    if (!this.isUnbroken(heartbeat)) {
      this.#heartbeat = heartbeat;
      this.restart();
      return;
    }
    const seen = usage();
    const { cpuMs, isRunnable } = seen === undefined || seen === "ended"
      ? { cpuMs: undefined, isRunnable: false }
      : seen;
    this.#ms += isRunnable ? this.#chargeOf(cpuMs, elapsedMs) : elapsedMs;
    this.#cpuMs = cpuMs;
    this.#isRunnable = isRunnable;
  }

  #chargeOf(cpuMs: number | undefined, elapsedMs: number): number {
    const usedMs = cpuMs === undefined || this.#cpuMs === undefined ? 0 : cpuMs - this.#cpuMs;
    return Math.min(elapsedMs, Math.max(usedMs, elapsedMs * STARVED_SHARE));
  }
}
