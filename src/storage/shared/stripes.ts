import type { ObjectKey } from "../../core/key.ts";
import { keyHash } from "./fingerprint.ts";
import { HEAD, type SharedKeysLayout, STRIPE } from "./memory.ts";

/**
 * What readers in all threads see of the changes that the owner of the tiers makes: each key belongs to a stripe, which
 * says whether one of its keys is being changed, and has a sequence number that moves when such a change begins. A
 * write that is acknowledged from L1 needs not move it: until a change of the owner's has stored it, L1 itself tells.
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

  /** For a new owner: nothing is being changed, and whoever looked while its predecessor did looks again. */
  reset(): void {
    for (let stripe = 0; stripe <= this.#mask; stripe++) Atomics.store(this.#words, this.#word(stripe, STRIPE.busy), 0);
    Atomics.add(this.#words, HEAD.sequence, 1);
  }

  /** A change of the stripe's keys begins. */
  begin(stripe: number): void {
    Atomics.store(this.#words, this.#word(stripe, STRIPE.busy), 1);
    Atomics.add(this.#words, this.#word(stripe, STRIPE.sequence), 1);
  }

  /** It has ended. */
  end(stripe: number): void {
    Atomics.store(this.#words, this.#word(stripe, STRIPE.busy), 0);
  }

  /** Whether one of the stripe's keys is being changed. */
  isBusy(stripe: number): boolean {
    return this.isClearing || Atomics.load(this.#words, this.#word(stripe, STRIPE.busy)) !== 0;
  }

  /** Moves whenever a change of the stripe's keys begins. */
  sequence(stripe: number): number {
    const all = Atomics.load(this.#words, HEAD.sequence);
    return (Atomics.load(this.#words, this.#word(stripe, STRIPE.sequence)) + all) | 0;
  }

  /** Whether a thread clears: then nothing is acknowledged from L1. */
  get isClearing(): boolean {
    return Atomics.load(this.#words, HEAD.clearing) !== 0;
  }

  /** Begins to clear; false if another thread does. */
  tryClear(): boolean {
    if (Atomics.compareExchange(this.#words, HEAD.clearing, 0, this.#holder) !== 0) return false;
    Atomics.add(this.#words, HEAD.sequence, 1);
    return true;
  }

  endClear(): void {
    Atomics.compareExchange(this.#words, HEAD.clearing, this.#holder, 0);
  }

  /** Notes which tier the stripe's last load came from, for those who follow it. */
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
