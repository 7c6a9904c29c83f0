import { VitrineError } from "../../core/errors.ts";
import { FENCE_WORDS, MAX_HOLDER } from "../arena/layout.ts";

/** How often a thread looks again before it sleeps, and how long it sleeps before it looks again by itself. */
const SPINS = 1000;
const SLEEP_MS = 10;

/**
 * How long a dead thread that may still run is seen to hold the lock before it loses it: sections take microseconds,
 * being preempted takes some tens of milliseconds.
 */
const PATIENCE_MS = 500;

/** Bit of the lock word: somebody may sleep on it. The bits below hold the owner's number. */
const WAITED = MAX_HOLDER + 1;

const NOBODY = 0;

/**
 * A mutex between threads in one shared word: the owner (0 = free) and whether somebody may sleep. A bit for each
 * holder says whether it was declared dead (fenced): it is kept out for good, and whoever waits takes the lock out of
 * its hands. A thread that dies while it waits leaves nothing behind. Sections are short, synchronous and never nested.
 * On private memory it never contends and never sleeps.
 */
export class SharedLock {
  readonly #words: Int32Array;
  readonly #owner: number;
  readonly #fences: number;
  readonly #holder: number;
  readonly #myFence: number;
  readonly #myBit: number;
  /** Whom this thread waits for, and for how long now without being woken. */
  #waitedFor = NOBODY;
  #waitedMs = 0;

  /** `at`: word offsets. `holder`: this thread's number, never used before by another thread that shares the words. */
  constructor(words: Int32Array, at: { readonly lock: number; readonly fences: number }, holder: number) {
    if (!(holder >= 1 && holder <= MAX_HOLDER)) {
      throw new RangeError(`number a thread from 1 to ${MAX_HOLDER}: ${holder}`);
    }
    this.#words = words;
    this.#owner = at.lock;
    this.#fences = at.fences;
    this.#holder = holder;
    this.#myFence = at.fences + (holder >>> 5);
    this.#myBit = 1 << (holder & 31);
  }

  /**
   * The dead holder that it was taken from, whose section was cut off; 0 if it was free. Throws shutting_down if this
   * thread was declared dead.
   */
  acquire(): number {
    const isFree = Atomics.compareExchange(this.#words, this.#owner, NOBODY, this.#holder) === NOBODY;
    const dead = isFree ? NOBODY : this.#contend();
    // Behind the exchange: whoever fences sees this thread in the lock word, or is seen here.
    if (!this.#isFenced()) return dead;
    this.#passOn(dead);
    throw this.#isDead();
  }

  /** Throws shutting_down if this thread was declared dead. */
  assertAlive(): void {
    if (this.#isFenced()) throw this.#isDead();
  }

  /** Throws shutting_down if the lock was taken from this thread meanwhile. */
  release(): void {
    this.#passOn(NOBODY);
  }

  /** As acquire, without waiting: undefined if somebody has it who may not be dead. */
  tryAcquire(): number | undefined {
    const word = Atomics.load(this.#words, this.#owner);
    const holder = word & MAX_HOLDER;
    if (holder !== NOBODY && !this.#mayTakeFrom(holder)) return undefined;
    // Others may sleep as well, so who has waited takes the lock as one that somebody waits for.
    const taken = Atomics.compareExchange(this.#words, this.#owner, word, this.#holder | WAITED) === word;
    return taken ? holder : undefined;
  }

  /** Resolves when it may be worth while to try again, soon at the latest. */
  async pause(): Promise<void> {
    const word = this.#announce();
    if (word === undefined) return;
    this.#note(word, await Atomics.waitAsync(this.#words, this.#owner, word, SLEEP_MS).value);
  }

  /** Declares a holder dead, for good. `isGone`: its thread has certainly ended. */
  fence(holder: number, isGone: boolean): void {
    const bit = 1 << (holder & 31);
    if (isGone) Atomics.or(this.#words, this.#fences + FENCE_WORDS + (holder >>> 5), bit);
    Atomics.or(this.#words, this.#fences + (holder >>> 5), bit);
  }

  #contend(): number {
    const words = this.#words;
    for (let spin = 0; spin < SPINS; spin++) {
      if (
        Atomics.load(words, this.#owner) === NOBODY &&
        Atomics.compareExchange(words, this.#owner, NOBODY, this.#holder) === NOBODY
      ) return NOBODY;
    }
    for (;;) {
      const dead = this.tryAcquire();
      if (dead !== undefined) return dead;
      const word = this.#announce();
      if (word !== undefined) this.#note(word, Atomics.wait(words, this.#owner, word, SLEEP_MS));
    }
  }

  /** Says in the lock word that somebody may sleep; the word to sleep on, or undefined if it has changed meanwhile. */
  #announce(): number | undefined {
    const word = Atomics.load(this.#words, this.#owner);
    if (word === NOBODY) return undefined;
    const waited = word | WAITED;
    if (word === waited || Atomics.compareExchange(this.#words, this.#owner, word, waited) === word) return waited;
    return undefined;
  }

  #note(word: number, slept: "ok" | "not-equal" | "timed-out"): void {
    const holder = word & MAX_HOLDER;
    const isSame = slept === "timed-out" && holder === this.#waitedFor;
    this.#waitedMs = isSame ? this.#waitedMs + SLEEP_MS : 0;
    this.#waitedFor = holder;
  }

  #isFenced(): boolean {
    return (Atomics.load(this.#words, this.#myFence) & this.#myBit) !== 0;
  }

  #mayTakeFrom(holder: number): boolean {
    if (this.#hasBit(this.#fences + FENCE_WORDS, holder)) return true;
    return this.#waitedFor === holder && this.#waitedMs >= PATIENCE_MS && this.#hasBit(this.#fences, holder);
  }

  #hasBit(at: number, holder: number): boolean {
    return (Atomics.load(this.#words, at + (holder >>> 5)) & (1 << (holder & 31))) !== 0;
  }

  /** Gives the lock to nobody, or back into the hands it was taken from. */
  #passOn(next: number): void {
    if (Atomics.compareExchange(this.#words, this.#owner, this.#holder, next) === this.#holder) return;
    const waited = this.#holder | WAITED;
    if (Atomics.compareExchange(this.#words, this.#owner, waited, next) !== waited) throw this.#isDead();
    Atomics.notify(this.#words, this.#owner, 1);
  }

  #isDead(): VitrineError {
    return new VitrineError("shutting_down", `use L1 as a thread that was declared dead: holder ${this.#holder}`);
  }
}
