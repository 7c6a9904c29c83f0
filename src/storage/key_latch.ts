import { keyId, type ObjectKey } from "../core/key.ts";

/** Notes whether the tiers' copies of a key were, or may have been, changed since the watch began. */
export interface Watch {
  readonly disturbed: boolean;
  /** Ends the watch. Idempotent. */
  done(): void;
}

/**
 * Orders the changes of one key in the tiers: one at a time, first come, first served; different keys run side by side.
 * Readers do not take the latch: they wait while it is held and watch whether it was taken while they looked (as with a seqlock).
 */
export class KeyLatch {
  readonly #tails = new Map<string, Promise<void>>();
  readonly #watches = new Map<string, Set<{ disturbed: boolean }>>();
  #exclusive: Promise<void> | undefined;

  /** Runs `change` alone among the changes of this key; starts synchronously if nobody is before it. Must not be nested for one key. */
  async run<T>(key: ObjectKey, change: () => Promise<T> | T): Promise<T> {
    const id = keyId(key);
    const before = this.#tails.get(id);
    const exclusive = this.#exclusive;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#tails.set(id, promise);
    try {
      // Both: the change before this one may have begun earlier than the exclusive one, which then waits for it alone.
      if (before !== undefined) await before;
      if (exclusive !== undefined) await exclusive;
      this.#disturb(id);
      return await change();
    } finally {
      if (this.#tails.get(id) === promise) this.#tails.delete(id);
      resolve();
    }
  }

  /** Runs `change` alone among the changes of all keys: waits for those begun, holds back those that come. */
  async exclusive<T>(change: () => Promise<T>): Promise<T> {
    while (this.#exclusive !== undefined) await this.#exclusive;
    const { promise, resolve } = Promise.withResolvers<void>();
    const begun = [...this.#tails.values()];
    this.#exclusive = promise;
    try {
      await Promise.all(begun);
      for (const id of this.#watches.keys()) this.#disturb(id);
      return await change();
    } finally {
      this.#exclusive = undefined;
      resolve();
    }
  }

  /** What a reader of the tiers has to wait for; undefined if no change of the key is running or waiting. Look again afterwards. */
  busy(key: ObjectKey): Promise<void> | undefined {
    return this.#tails.get(keyId(key)) ?? this.#exclusive;
  }

  /** Begins to watch a key that is not busy. */
  watch(key: ObjectKey): Watch {
    const id = keyId(key);
    const watch = {
      disturbed: false,
      done: (): void => {
        const watches = this.#watches.get(id);
        if (watches?.delete(watch) && watches.size === 0) this.#watches.delete(id);
      },
    };
    const watches = this.#watches.get(id) ?? new Set();
    this.#watches.set(id, watches.add(watch));
    return watch;
  }

  #disturb(id: string): void {
    for (const watch of this.#watches.get(id) ?? []) watch.disturbed = true;
  }
}
