import type { Clock } from "../core/clock.ts";
import { VitrineError } from "../core/errors.ts";
import type { ObjectKey } from "../core/key.ts";
import type { Poller } from "./timers.ts";
import type { Stripes } from "./shared/stripes.ts";

/** Says whether a key was, or may have been, changed since the watch began. */
export interface Watch {
  readonly disturbed: boolean;
}

/** Options of a KeyLatch. */
export interface KeyLatchOptions {
  readonly stripes: Stripes;
  readonly poller: Poller;
  readonly clock: Clock;
  /** Time for which a reader waits for a change by another thread, in milliseconds. */
  readonly patienceMs: number;
  /** True if changes are shown to readers, which is unnecessary without tiers. */
  readonly isShown: boolean;
}

/**
 * Orders the changes of a key in the tiers, for the thread that makes them: one at a time, in order of arrival.
 * Different keys run in parallel, except for the few that share a stripe. Readers, in all threads, do not take the
 * latch: they wait while it is held and check whether it was taken during their read (as with a seqlock).
 */
export class KeyLatch {
  readonly #options: KeyLatchOptions;
  readonly #tails = new Map<number, Promise<void>>();
  #exclusive: Promise<void> | undefined;

  constructor(options: KeyLatchOptions) {
    this.#options = options;
  }

  /**
   * Runs `change` exclusively among the changes of this key; starts synchronously if there is no other. Must not be
   * nested, whatever the keys.
   */
  async run<T>(key: ObjectKey, change: () => Promise<T> | T): Promise<T> {
    const { stripes, isShown } = this.#options;
    const stripe = stripes.of(key);
    const before = this.#tails.get(stripe);
    const exclusive = this.#exclusive;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#tails.set(stripe, promise);
    try {
      // The previous change may have begun before the exclusive one, which then waits for that change only. This one
      // has to wait for both.
      if (before !== undefined) await before;
      if (exclusive !== undefined) await exclusive;
      if (isShown) stripes.begin(stripe);
      return await change();
    } finally {
      const isLast = this.#tails.get(stripe) === promise;
      if (isLast) this.#tails.delete(stripe);
      if (isLast && isShown) stripes.end(stripe);
      resolve();
    }
  }

  /**
   * Runs `clear` exclusively among the changes of all keys. Waits for changes that have begun, and holds back new ones
   * and, in all threads, acknowledgements from L1.
   */
  async exclusive<T>(clear: () => Promise<T>): Promise<T> {
    const { stripes, poller } = this.#options;
    while (this.#exclusive !== undefined) await this.#exclusive;
    const { promise, resolve } = Promise.withResolvers<void>();
    const begun = [...this.#tails.values()];
    this.#exclusive = promise;
    try {
      await Promise.all(begun);
      // Without tiers, any thread may clear.
      await poller.until(() => stripes.tryClear());
      try {
        return await clear();
      } finally {
        stripes.endClear();
      }
    } finally {
      this.#exclusive = undefined;
      resolve();
    }
  }

  /**
   * Waits until no change of the key is running or waiting, then begins a watch. Throws tier_failed if that takes too
   * long.
   */
  async watch(key: ObjectKey): Promise<Watch> {
    const { stripes, poller } = this.#options;
    const stripe = stripes.of(key);
    for (;;) {
      const busy = this.#tails.get(stripe) ?? this.#exclusive;
      if (busy !== undefined) {
        await busy;
        continue;
      }
      // Read before the check for a busy stripe: a change that begins after that check increments the sequence number.
      const sequence = stripes.sequence(stripe);
      if (!stripes.isBusy(stripe)) return watchFrom(stripes, stripe, sequence);
      await poller.until(this.#quiet(stripe));
    }
  }

  #quiet(stripe: number): () => boolean {
    const { stripes, clock, patienceMs } = this.#options;
    const untilMs = clock.monotonicMs() + patienceMs;
    return () => {
      if (!stripes.isBusy(stripe)) return true;
      if (clock.monotonicMs() < untilMs) return false;
      throw new VitrineError("tier_failed", `read key: another thread has been changing it for ${patienceMs} ms`);
    };
  }
}

function watchFrom(stripes: Stripes, stripe: number, sequence: number): Watch {
  return {
    get disturbed() {
      return stripes.sequence(stripe) !== sequence;
    },
  };
}
