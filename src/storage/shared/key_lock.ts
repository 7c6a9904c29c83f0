import type { Clock } from "../../core/clock.ts";
import { VitrineError } from "../../core/errors.ts";
import type { ObjectKey } from "../../core/object.ts";
import { SharedTable, type SharedWords } from "../../core/shared_table.ts";
import type { Poller } from "../timers.ts";
import { HEAD, keyHash, type SharedKeysLayout, STRIPE } from "./memory.ts";

/** A moment in the history of a key, to which a reader compares the present. */
export interface KeySnapshot {
  /** True if a change of the key, or of one that shares its stripe, has begun since. */
  readonly hasChanged: boolean;
}

/** Options of a KeyLock. */
export interface KeyLockOptions {
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
 * lock: they wait while it is held and check whether it was taken during their read (as with a seqlock).
 */
export class KeyLock {
  readonly #options: KeyLockOptions;
  readonly #tails = new Map<number, Promise<void>>();
  #exclusive: Promise<void> | undefined;

  constructor(options: KeyLockOptions) {
    this.#options = options;
  }

  /**
   * Runs `change` exclusively among the changes of this key; starts synchronously if there is no other. Must not be
   * nested, whatever the keys.
   */
  async run<T>(key: ObjectKey, change: () => Promise<T> | T): Promise<T> {
    const { stripes, isShown } = this.#options;
    const hash = stripes.hashOf(key);
    const stripe = stripes.at(hash);
    const before = this.#tails.get(stripe);
    const exclusive = this.#exclusive;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#tails.set(stripe, promise);
    try {
      // The previous change may have begun before the exclusive one, which then waits for that change only. This one
      // has to wait for both.
      if (before !== undefined) await before;
      if (exclusive !== undefined) await exclusive;
      if (isShown) stripes.begin(hash);
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
   * Waits until no change of the key is running or waiting, then takes a snapshot. Throws tier_failed if that takes too
   * long.
   */
  async snapshot(key: ObjectKey): Promise<KeySnapshot> {
    const { stripes, poller } = this.#options;
    const hash = stripes.hashOf(key);
    const stripe = stripes.at(hash);
    for (;;) {
      const busy = this.#tails.get(stripe) ?? this.#exclusive;
      if (busy !== undefined) {
        await busy;
        continue;
      }
      // Read before the check for a busy stripe: a change that begins after that check increments the sequence number.
      const sequence = stripes.sequence(stripe);
      if (!stripes.isBusy(hash)) return snapshotOf(stripes, stripe, sequence);
      await poller.until(this.#quiet(hash));
    }
  }

  #quiet(hash: number): () => boolean {
    const { stripes, clock, patienceMs } = this.#options;
    const untilMs = clock.monotonicMs() + patienceMs;
    return () => {
      if (!stripes.isBusy(hash)) return true;
      if (clock.monotonicMs() < untilMs) return false;
      throw new VitrineError("tier_failed", `read key: another thread has been changing it for ${patienceMs} ms`);
    };
  }
}

function snapshotOf(stripes: Stripes, stripe: number, sequence: number): KeySnapshot {
  return {
    get hasChanged() {
      return stripes.sequence(stripe) !== sequence;
    },
  };
}

/**
 * The owner's changes of the tiers, as readers in all threads see them. Each key belongs to a stripe, which says by its
 * hash which of its keys is being changed: readers of the others need not wait, for a disk that hangs, say. The
 * stripe's sequence number increases when a change of any of them begins. A write that is acknowledged from L1 need not
 * increase it: L1 knows the object until the owner has stored it.
 */
export class Stripes {
  readonly #words: Int32Array;
  readonly #rows: SharedTable;
  readonly #mask: number;
  readonly #seed: number;
  readonly #workerId: number;

  constructor(
    memory: SharedWords,
    options: { readonly layout: SharedKeysLayout; readonly hashSeed: number; readonly workerId: number },
  ) {
    this.#words = memory.words;
    this.#rows = new SharedTable(memory, options.layout.at.stripes, STRIPE.words);
    this.#mask = options.layout.stripes - 1;
    this.#seed = options.hashSeed;
    this.#workerId = options.workerId;
  }

  of(key: ObjectKey): number {
    return this.at(this.hashOf(key));
  }

  hashOf(key: ObjectKey): number {
    return keyHash(key, this.#seed);
  }

  /** The stripe of a key with this hash. */
  at(hash: number): number {
    return hash & this.#mask;
  }

  /**
   * For a new owner: no key is being changed, and readers that looked during a change of its predecessor look again.
   */
  reset(): void {
    for (let stripe = 0; stripe <= this.#mask; stripe++) this.#rows.store(stripe, STRIPE.busy, 0);
    Atomics.add(this.#words, HEAD.sequence, 1);
  }

  /** Begins a change of the key with this hash. */
  begin(hash: number): void {
    const stripe = this.at(hash);
    this.#rows.store(stripe, STRIPE.busy, markOf(hash));
    this.#rows.add(stripe, STRIPE.sequence, 1);
  }

  /** Ends the changes of a stripe's keys. */
  end(stripe: number): void {
    this.#rows.store(stripe, STRIPE.busy, 0);
  }

  /** True if a key with this hash is being changed. */
  isBusy(hash: number): boolean {
    return this.isClearing || this.#rows.load(this.at(hash), STRIPE.busy) === markOf(hash);
  }

  /** A number that changes whenever a change of one of the stripe's keys begins. */
  sequence(stripe: number): number {
    const all = Atomics.load(this.#words, HEAD.sequence);
    return (this.#rows.load(stripe, STRIPE.sequence) + all) | 0;
  }

  /** True if a thread is clearing. Nothing is acknowledged from L1 meanwhile. */
  get isClearing(): boolean {
    return Atomics.load(this.#words, HEAD.clearing) !== 0;
  }

  /** Begins a clear; false if another thread is clearing. */
  tryClear(): boolean {
    if (Atomics.compareExchange(this.#words, HEAD.clearing, 0, this.#workerId) !== 0) return false;
    Atomics.add(this.#words, HEAD.sequence, 1);
    return true;
  }

  endClear(): void {
    Atomics.compareExchange(this.#words, HEAD.clearing, this.#workerId, 0);
  }

  /** Notes the tier of the stripe's last load, for readers that follow it. */
  setLoadTier(stripe: number, tier: number): void {
    this.#rows.store(stripe, STRIPE.loadTier, tier);
  }

  loadTier(stripe: number): number {
    return this.#rows.load(stripe, STRIPE.loadTier);
  }
}

/** The word that says that a key with this hash is being changed; 0 says that none of the stripe's keys is. */
function markOf(hash: number): number {
  return (hash | 0) || 1;
}
