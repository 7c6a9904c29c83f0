import type { ObjectKey } from "../../core/key.ts";
import { keyHash } from "./key_hash.ts";
import { HEAD, type SharedKeysLayout, STRIPE } from "./memory.ts";
import type { Seats } from "./seats.ts";
import { WordLock } from "./word_lock.ts";

/** Who looks at the stripes, and how keys are spread over them. */
export interface StripesOptions {
  readonly layout: SharedKeysLayout;
  readonly seats: Seats;
  readonly hashSeed: number;
  readonly place: number;
  readonly holder: number;
}

/**
 * The keys' latches across threads: each key belongs to a stripe, each stripe to at most one thread at a time. A stripe
 * has a sequence number that moves with every take and every commit, for readers that take nothing; and a lock for
 * turns: sections without await that no other thread's turn interrupts. One thread asks for a stripe it does not have
 * only once at a time.
 */
export class Stripes {
  readonly #words: Int32Array;
  readonly #at: number;
  readonly #mask: number;
  readonly #seats: Seats;
  readonly #seed: number;
  readonly #place: number;
  readonly #me: number;

  constructor(words: Int32Array, options: StripesOptions) {
    this.#words = words;
    this.#at = options.layout.at.stripes;
    this.#mask = options.layout.stripes - 1;
    this.#seats = options.seats;
    this.#seed = options.hashSeed;
    this.#place = options.place;
    this.#me = options.holder;
  }

  of(key: ObjectKey): number {
    return keyHash(key, this.#seed) & this.#mask;
  }

  /**
   * Takes a stripe; false if it is another's or somebody has them all: then ask again, it will be handed over in turn.
   */
  tryTake(stripe: number): boolean {
    const owner = this.#word(stripe, STRIPE.owner);
    let isMine = Atomics.load(this.#words, owner) === this.#me;
    if (!isMine && !this.excluded) {
      isMine = Atomics.compareExchange(this.#words, owner, 0, this.#me) === 0;
      if (!isMine) this.#want(stripe);
      // It may have been given back just before the wish was seen.
      isMine ||= Atomics.compareExchange(this.#words, owner, 0, this.#me) === 0;
    }
    if (!isMine) return false;
    Atomics.and(this.#words, this.#wantedWord(stripe, this.#place), ~bitOf(this.#place));
    if (this.excluded) {
      this.giveBack(stripe);
      return false;
    }
    this.moved(stripe);
    return true;
  }

  /** Hands a stripe that is this thread's to the next one that waits for it, or to nobody. */
  giveBack(stripe: number): void {
    const owner = this.#word(stripe, STRIPE.owner);
    // While somebody waits for all stripes none is handed over: it has to become free.
    const places = this.excluded ? 0 : this.#seats.places;
    for (let step = 1; step < places; step++) {
      const place = (this.#place + step) % this.#seats.places;
      if ((Atomics.load(this.#words, this.#wantedWord(stripe, place)) & bitOf(place)) === 0) continue;
      const next = this.#seats.holderAt(place);
      if (next === 0) continue;
      if (Atomics.compareExchange(this.#words, owner, this.#me, next) !== this.#me) return;
      if (this.#seats.holderAt(place) === next) return;
      // It died meanwhile: what it had was freed perhaps before the hand-over, perhaps after.
      if (Atomics.compareExchange(this.#words, owner, next, this.#me) !== next) return;
    }
    Atomics.compareExchange(this.#words, owner, this.#me, 0);
  }

  /** Whether a change of the stripe's keys runs, in any thread. */
  isBusy(stripe: number): boolean {
    return this.excluded || Atomics.load(this.#words, this.#word(stripe, STRIPE.owner)) !== 0;
  }

  /** Moves whenever a change of the stripe's keys begins or is committed. */
  sequence(stripe: number): number {
    const all = Atomics.load(this.#words, HEAD.exclusiveSequence);
    return (Atomics.load(this.#words, this.#word(stripe, STRIPE.sequence)) + all) | 0;
  }

  /** Tells readers of the stripe to look again. */
  moved(stripe: number): void {
    Atomics.add(this.#words, this.#word(stripe, STRIPE.sequence), 1);
  }

  /** Whether somebody has all stripes, or waits for the last of them. */
  get excluded(): boolean {
    return Atomics.load(this.#words, HEAD.exclusive) !== 0;
  }

  /** Keeps all others from taking stripes from now on; false if somebody else does. */
  tryExclude(): boolean {
    if (Atomics.compareExchange(this.#words, HEAD.exclusive, 0, this.#me) !== 0) return false;
    Atomics.add(this.#words, HEAD.exclusiveSequence, 1);
    return true;
  }

  /** Whether all stripes and turns that were taken before `tryExclude` are given back. */
  isQuiet(): boolean {
    for (let stripe = 0; stripe <= this.#mask; stripe++) {
      if (Atomics.load(this.#words, this.#word(stripe, STRIPE.owner)) !== 0) return false;
      if (Atomics.load(this.#words, this.#word(stripe, STRIPE.turn)) !== 0) return false;
    }
    return true;
  }

  endExclusion(): void {
    Atomics.compareExchange(this.#words, HEAD.exclusive, this.#me, 0);
  }

  /**
   * Runs a section alone among the turns of the stripe in all threads, as if there were one event loop. Must not be
   * nested.
   */
  turn<T>(stripe: number, section: () => T): T {
    return new WordLock(this.#words, this.#word(stripe, STRIPE.turn), this.#me).run(section);
  }

  /** Notes which tier the stripe's last load came from, for those who follow it. */
  setLoadTier(stripe: number, tier: number): void {
    Atomics.store(this.#words, this.#word(stripe, STRIPE.loadTier), tier);
  }

  loadTier(stripe: number): number {
    return Atomics.load(this.#words, this.#word(stripe, STRIPE.loadTier));
  }

  #want(stripe: number): void {
    Atomics.or(this.#words, this.#wantedWord(stripe, this.#place), bitOf(this.#place));
  }

  #word(stripe: number, field: number): number {
    return this.#at + stripe * STRIPE.words + field;
  }

  #wantedWord(stripe: number, place: number): number {
    return this.#word(stripe, STRIPE.wanted) + (place >>> 5);
  }
}

function bitOf(place: number): number {
  return 1 << (place & 31);
}
