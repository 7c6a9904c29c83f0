import type { ObjectKey } from "../core/key.ts";
import type { Poller } from "./poller.ts";
import type { Stripes } from "./shared/stripes.ts";

/** Notes whether a key was, or may have been, changed since the watch began. */
export interface Watch {
  readonly disturbed: boolean;
}

/**
 * Orders the changes of one key in the tiers, over all threads: one at a time; different keys run side by side, but for
 * those few that share a stripe. Within this thread it is first come, first served; then the stripe is taken from the
 * other threads. Readers do not take the latch: they wait while it is held and watch whether it was taken while they
 * looked (as with a seqlock).
 */
export class KeyLatch {
  readonly #stripes: Stripes;
  readonly #poller: Poller;
  readonly #tails = new Map<number, Promise<void>>();
  #exclusive: Promise<void> | undefined;

  constructor(stripes: Stripes, poller: Poller) {
    this.#stripes = stripes;
    this.#poller = poller;
  }

  /**
   * Runs `change` alone among the changes of this key; starts synchronously if nobody is before it. Must not be nested,
   * whatever the keys.
   */
  async run<T>(key: ObjectKey, change: () => Promise<T> | T): Promise<T> {
    const stripe = this.#stripes.of(key);
    const before = this.#tails.get(stripe);
    const exclusive = this.#exclusive;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#tails.set(stripe, promise);
    try {
      // Both: the change before this one may have begun earlier than the exclusive one, which then waits for it alone.
      if (before !== undefined) await before;
      if (exclusive !== undefined) await exclusive;
      if (!this.#stripes.tryTake(stripe)) await this.#poller.until(() => this.#stripes.tryTake(stripe));
      try {
        return await change();
      } finally {
        this.#stripes.giveBack(stripe);
      }
    } finally {
      if (this.#tails.get(stripe) === promise) this.#tails.delete(stripe);
      resolve();
    }
  }

  /**
   * Runs `change` alone among the changes of all keys and all turns: waits for those begun, holds back those that come.
   */
  async exclusive<T>(change: () => Promise<T>): Promise<T> {
    while (this.#exclusive !== undefined) await this.#exclusive;
    const { promise, resolve } = Promise.withResolvers<void>();
    const begun = [...this.#tails.values()];
    this.#exclusive = promise;
    try {
      await Promise.all(begun);
      await this.#poller.until(() => this.#stripes.tryExclude());
      try {
        await this.#poller.until(() => this.#stripes.isQuiet());
        return await change();
      } finally {
        this.#stripes.endExclusion();
      }
    } finally {
      this.#exclusive = undefined;
      resolve();
    }
  }

  /** Waits until no change of the key is running or waiting, then begins to watch it. */
  async watch(key: ObjectKey): Promise<Watch> {
    const stripe = this.#stripes.of(key);
    for (;;) {
      const busy = this.#tails.get(stripe) ?? this.#exclusive;
      if (busy !== undefined) {
        await busy;
        continue;
      }
      // Before it is asked whether the stripe is busy: a change that begins after that moves it.
      const sequence = this.#stripes.sequence(stripe);
      if (!this.#stripes.isBusy(stripe)) return this.#watchFrom(stripe, sequence);
      await this.#poller.until(() => !this.#stripes.isBusy(stripe));
    }
  }

  /**
   * Runs a section without await so that no commit of the key in another thread falls into it. Must not be nested; may
   * be in a `run`.
   */
  turn<T>(key: ObjectKey, section: () => T): T {
    return this.#stripes.turn(this.#stripes.of(key), section);
  }

  /** Whether all keys are held, or about to be: to be asked in a turn by who commits without the latch. */
  get excluded(): boolean {
    return this.#stripes.excluded;
  }

  /** Disturbs whoever watches the key: to be called in the turn of a commit, after it. */
  moved(key: ObjectKey): void {
    this.#stripes.moved(this.#stripes.of(key));
  }

  #watchFrom(stripe: number, sequence: number): Watch {
    const stripes = this.#stripes;
    return {
      get disturbed() {
        return stripes.sequence(stripe) !== sequence;
      },
    };
  }
}
