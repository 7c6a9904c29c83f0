/** How many looks fall into one time-out. */
const LOOKS = 4;

/** What a Watchdog is made of. */
export interface WatchdogOptions {
  /** How long work may make no progress; it is given up between this and a quarter more, never earlier. */
  readonly timeoutMs: number;
  /** Calls back at an interval until the function it returns is called. */
  readonly every: (ms: number, callback: () => void) => () => void;
}

/** Work that is waited for. */
export interface Watch {
  /** Waiting begins, or begins anew because there was progress. Without effect once it is over. */
  wait(): void;
  /** Nobody waits for now. */
  rest(): void;
  /** It is over; false if it had been given up. */
  end(): boolean;
}

/**
 * Notices work that makes no progress, with one timer for all of it that runs only while there is some. Counts looks,
 * not time: a thread that stood still blames nobody.
 */
export class Watchdog {
  readonly #options: WatchdogOptions;
  /** What is waited for, and how often it has been seen so. */
  readonly #waiting = new Map<Watch, number>();
  readonly #giveUps = new WeakMap<Watch, () => void>();
  #stop: (() => void) | undefined;

  constructor(options: WatchdogOptions) {
    this.#options = options;
  }

  /** `giveUp` is called once, when the work has made no progress for the whole time. Nothing is waited for yet. */
  watch(giveUp: () => void): Watch {
    const watch: Watch = {
      wait: () => {
        if (!this.#giveUps.has(watch)) return;
        this.#waiting.set(watch, 0);
        this.#stop ??= this.#options.every(this.#options.timeoutMs / LOOKS, () => this.#look());
      },
      rest: () => void this.#waiting.delete(watch),
      end: () => {
        this.#waiting.delete(watch);
        return this.#giveUps.delete(watch);
      },
    };
    this.#giveUps.set(watch, giveUp);
    return watch;
  }

  #look(): void {
    if (this.#waiting.size === 0) {
      this.#stop?.();
      this.#stop = undefined;
    }
    for (const [watch, looks] of this.#waiting) {
      if (looks < LOOKS) this.#waiting.set(watch, looks + 1);
      else {
        const giveUp = this.#giveUps.get(watch);
        watch.end();
        giveUp?.();
      }
    }
  }
}
