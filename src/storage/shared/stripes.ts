import type { ObjectKey } from "../../core/key.ts";
import { keyHash } from "./fingerprint.ts";
import { HEAD, type SharedKeysLayout, STRIPE } from "./memory.ts";

/**
 * The owner's changes of the tiers, as readers in all threads see them. Each key belongs to a stripe, which says
 * whether one of its keys is being changed. The stripe's sequence number increases when such a change begins. A write
 * that is acknowledged from L1 need not increase it: L1 knows the object until the owner has stored it.
 */
export class Stripes {
  readonly #words: Int32Array;
  readonly #at: number;
  readonly #mask: number;
  readonly #seed: number;
  readonly #holder: number;

  constructor(
    words: Int32Array,
    options: { readonly layout: SharedKeysLayout; readonly hashSeed: number; readonly holder: number },
  ) {
    this.#words = words;
    this.#at = options.layout.at.stripes;
    this.#mask = options.layout.stripes - 1;
    this.#seed = options.hashSeed;
    this.#holder = options.holder;
  }

  of(key: ObjectKey): number {
    return keyHash(key, this.#seed) & this.#mask;
  }

  /**
   * For a new owner: no key is being changed, and readers that looked during a change of its predecessor look again.
   */
  reset(): void {
    for (let stripe = 0; stripe <= this.#mask; stripe++) Atomics.store(this.#words, this.#word(stripe, STRIPE.busy), 0);
    Atomics.add(this.#words, HEAD.sequence, 1);
  }

  /** Begins a change of one of the stripe's keys. */
  begin(stripe: number): void {
    Atomics.store(this.#words, this.#word(stripe, STRIPE.busy), 1);
    Atomics.add(this.#words, this.#word(stripe, STRIPE.sequence), 1);
  }

  /** Ends the change. */
  end(stripe: number): void {
    Atomics.store(this.#words, this.#word(stripe, STRIPE.busy), 0);
  }

  /** True if one of the stripe's keys is being changed. */
  isBusy(stripe: number): boolean {
    return this.isClearing || Atomics.load(this.#words, this.#word(stripe, STRIPE.busy)) !== 0;
  }

  /** A number that changes whenever a change of one of the stripe's keys begins. */
  sequence(stripe: number): number {
    const all = Atomics.load(this.#words, HEAD.sequence);
    return (Atomics.load(this.#words, this.#word(stripe, STRIPE.sequence)) + all) | 0;
  }

  /** True if a thread is clearing. Nothing is acknowledged from L1 meanwhile. */
  get isClearing(): boolean {
    return Atomics.load(this.#words, HEAD.clearing) !== 0;
  }

  /** Begins a clear; false if another thread is clearing. */
  tryClear(): boolean {
    if (Atomics.compareExchange(this.#words, HEAD.clearing, 0, this.#holder) !== 0) return false;
    Atomics.add(this.#words, HEAD.sequence, 1);
    return true;
  }

  endClear(): void {
    Atomics.compareExchange(this.#words, HEAD.clearing, this.#holder, 0);
  }

  /** Notes the tier of the stripe's last load, for readers that follow it. */
  setLoadTier(stripe: number, tier: number): void {
    Atomics.store(this.#words, this.#word(stripe, STRIPE.loadTier), tier);
  }

  loadTier(stripe: number): number {
    return Atomics.load(this.#words, this.#word(stripe, STRIPE.loadTier));
  }

  #word(stripe: number, field: number): number {
    return this.#at + stripe * STRIPE.words + field;
  }
}
