import { VitrineError } from "../core/errors.ts";
import { MAX_HOLDER } from "./layout.ts";

/** How often a thread looks again before it sleeps, and how long it sleeps before it looks again by itself. */
const SPINS = 1000;
const SLEEP_MS = 10;

/** Bit of the lock word: somebody may sleep on it. The bits below hold the owner's number. */
const WAITED = MAX_HOLDER + 1;

/**
 * A mutex between threads in one shared word: the owner (0 = free) and whether somebody may sleep. The owner's number stands in it, so that a
 * supervisor can take it from a dead thread; a bit for each holder says whether it was declared dead (fenced), and keeps it out for good.
 * Nothing else is shared: a thread that dies while it waits leaves nothing behind.
 * Sections are short, synchronous and never nested. On private memory it never contends and never sleeps.
 */
export class SharedLock {
  readonly #words: Int32Array;
  readonly #owner: number;
  readonly #fences: number;
  readonly #me: number;
  readonly #fence: number;
  readonly #fenceBit: number;

  /** `at`: word offsets. `holder`: this thread's number, never used before by another thread that shares the words. */
  constructor(words: Int32Array, at: { readonly lock: number; readonly fences: number }, holder: number) {
    if (!(holder >= 1 && holder <= MAX_HOLDER)) {
      throw new RangeError(`number a thread from 1 to ${MAX_HOLDER}: ${holder}`);
    }
    this.#words = words;
    this.#owner = at.lock;
    this.#fences = at.fences;
    this.#me = holder;
    this.#fence = at.fences + (holder >>> 5);
    this.#fenceBit = 1 << (holder & 31);
  }

  /** Throws shutting_down, without the lock, if this thread was declared dead. */
  acquire(): void {
    if (Atomics.compareExchange(this.#words, this.#owner, 0, this.#me) !== 0) this.#contend();
    // Behind the exchange: whoever fences sees this thread in the lock word, or is seen here.
    if ((Atomics.load(this.#words, this.#fence) & this.#fenceBit) === 0) return;
    this.release();
    throw this.#dead();
  }

  /** Throws shutting_down if the lock was taken from this thread meanwhile. */
  release(): void {
    const { compareExchange } = Atomics;
    const waited = this.#me | WAITED;
    if (compareExchange(this.#words, this.#owner, this.#me, 0) === this.#me) return;
    if (compareExchange(this.#words, this.#owner, waited, 0) !== waited) throw this.#dead();
    Atomics.notify(this.#words, this.#owner, 1);
  }

  /** Declares a holder dead, for good. */
  fence(holder: number): void {
    Atomics.or(this.#words, this.#fences + (holder >>> 5), 1 << (holder & 31));
  }

  isFenced(holder: number): boolean {
    return (Atomics.load(this.#words, this.#fences + (holder >>> 5)) & (1 << (holder & 31))) !== 0;
  }

  /**
   * Acquires, out of the hands of a fenced holder if it must: at once, or only after it was seen to hold it for `patienceMs` because its thread may be at work.
   * Whether it was taken from it: then its section was cut.
   */
  acquireFrom(holder: number, patienceMs: number): boolean {
    const words = this.#words;
    const mine = this.#me | WAITED;
    for (let waitedMs = 0;;) {
      const owner = Atomics.load(words, this.#owner);
      const isTheirs = (owner & MAX_HOLDER) === holder;
      if (owner === 0 || (isTheirs && waitedMs >= patienceMs)) {
        if (Atomics.compareExchange(words, this.#owner, owner, mine) === owner) return isTheirs;
      } else if (this.#sleep(owner) === "timed-out" && isTheirs) waitedMs += SLEEP_MS;
    }
  }

  #contend(): void {
    const words = this.#words;
    for (let spin = 0; spin < SPINS; spin++) {
      if (
        Atomics.load(words, this.#owner) === 0 && Atomics.compareExchange(words, this.#owner, 0, this.#me) === 0
      ) return;
    }
    for (;;) {
      const owner = Atomics.load(words, this.#owner);
      if (owner !== 0) this.#sleep(owner);
      // Others may sleep as well, so who has slept takes the lock as one that somebody waits for.
      else if (Atomics.compareExchange(words, this.#owner, 0, this.#me | WAITED) === 0) return;
    }
  }

  /** Sleeps while `owner` has the lock, with the bit set first so that it wakes somebody. */
  #sleep(owner: number): "ok" | "not-equal" | "timed-out" {
    const waited = owner | WAITED;
    if (owner !== waited && Atomics.compareExchange(this.#words, this.#owner, owner, waited) !== owner) {
      return "not-equal";
    }
    return Atomics.wait(this.#words, this.#owner, waited, SLEEP_MS);
  }

  #dead(): VitrineError {
    return new VitrineError("shutting_down", `lock L1 as a thread that was declared dead: holder ${this.#me}`);
  }
}
