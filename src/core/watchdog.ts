/** Number of checks in one timeout. */
const CHECKS = 4;

/** Options of a Watchdog. */
export interface WatchdogOptions {
  /** Time without progress after which work times out; at the latest a quarter later, never earlier. */
  readonly timeoutMs: number;
  /** Calls back at an interval until the returned function is called. */
  readonly every: (ms: number, callback: () => void) => () => void;
}

/** The timeout of one piece of work. */
export interface Watch {
  /** Starts the timeout, or restarts it because there was progress. Has no effect after the end. */
  wait(): void;
  /** Suspends the timeout, because nobody is waiting. */
  rest(): void;
  /** Ends the work; returns false if it had timed out. */
  end(): boolean;
}

/**
 * Times out work that makes no progress, with one timer for all of it, which runs only while somebody waits. It counts
 * checks instead of time, so that a thread that was suspended does not time out its work when it resumes.
 */
export class Watchdog {
  readonly #options: WatchdogOptions;
  /** The checks since the last progress, for each piece of work that somebody waits for. */
  readonly #waiting = new Map<Watch, number>();
  readonly #onTimeouts = new WeakMap<Watch, () => void>();
  #stop: (() => void) | undefined;

  constructor(options: WatchdogOptions) {
    this.#options = options;
  }

  /** Registers work; its timeout starts with `wait`. `onTimeout` is called once, if there is no progress in time. */
  watch(onTimeout: () => void): Watch {
    const watch: Watch = {
      wait: () => {
        if (!this.#onTimeouts.has(watch)) return;
        this.#waiting.set(watch, 0);
        this.#stop ??= this.#options.every(this.#options.timeoutMs / CHECKS, () => this.#check());
      },
      rest: () => void this.#waiting.delete(watch),
      end: () => {
        this.#waiting.delete(watch);
        return this.#onTimeouts.delete(watch);
      },
    };
    this.#onTimeouts.set(watch, onTimeout);
    return watch;
  }

  #check(): void {
    if (this.#waiting.size === 0) {
      this.#stop?.();
      this.#stop = undefined;
    }
    for (const [watch, checks] of this.#waiting) {
      if (checks < CHECKS) this.#waiting.set(watch, checks + 1);
      else {
        const onTimeout = this.#onTimeouts.get(watch);
        watch.end();
        onTimeout?.();
      }
    }
  }
}
