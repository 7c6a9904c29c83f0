import { VitrineError } from "../core/errors.ts";
import { FENCE_WORDS, MAX_WORKER_ID } from "./arena/layout.ts";
import type { PendingEvents } from "./pending_events.ts";

/** Attempts before a thread sleeps, and the longest sleep before it tries again. */
const SPINS = 1000;
const SLEEP_MS = 10;

/**
 * A dead thread that may still run loses the lock only after it was seen holding it for this long. Critical sections
 * take microseconds; being preempted takes some tens of milliseconds.
 */
const PATIENCE_MS = 500;

/** Bit of the lock word: a thread may be sleeping on it. The bits below hold the owner's number. */
const WAITED = MAX_WORKER_ID + 1;

const NOBODY = 0;

/**
 * A mutex between threads in one shared word: the owner (0 = free) and whether a thread may be sleeping. A bit per
 * worker marks those declared dead (fenced): they are locked out for good, and a waiting thread takes the lock from
 * them. A thread that dies while waiting leaves nothing behind. Critical sections are short, synchronous and never
 * nested. On private memory the lock never contends and never sleeps.
 */
export class SharedLock {
  readonly #words: Int32Array;
  readonly #owner: number;
  readonly #fences: number;
  readonly #workerId: number;
  readonly #myFence: number;
  readonly #myBit: number;
  /** The worker that this thread waits for, and for how long it has waited without being woken. */
  #waitedFor = NOBODY;
  #waitedMs = 0;

  /**
   * `at`: word offsets. `workerId`: this thread's number, never used before by another thread that shares the words.
   */
  constructor(words: Int32Array, at: { readonly lock: number; readonly fences: number }, workerId: number) {
    if (!(workerId >= 1 && workerId <= MAX_WORKER_ID)) {
      throw new RangeError(`number a thread from 1 to ${MAX_WORKER_ID}: ${workerId}`);
    }
    this.#words = words;
    this.#owner = at.lock;
    this.#fences = at.fences;
    this.#workerId = workerId;
    this.#myFence = at.fences + (workerId >>> 5);
    this.#myBit = 1 << (workerId & 31);
  }

  /**
   * Returns the dead worker from which the lock was taken and whose section was interrupted; 0 if the lock was free.
   * Throws shutting_down if this thread was declared dead.
   */
  acquire(): number {
    const isFree = Atomics.compareExchange(this.#words, this.#owner, NOBODY, this.#workerId) === NOBODY;
    const dead = isFree ? NOBODY : this.#contend();
    // Checked after the exchange: either the fencing thread sees this one in the lock word, or this one sees the fence.
    if (!this.isFenced) return dead;
    this.#passOn(dead);
    throw this.#isDead();
  }

  /** True if this thread was declared dead. */
  get isFenced(): boolean {
    return (Atomics.load(this.#words, this.#myFence) & this.#myBit) !== 0;
  }

  /** Throws shutting_down if this thread was declared dead. */
  assertAlive(): void {
    if (this.isFenced) throw this.#isDead();
  }

  /** Throws shutting_down if the lock was taken from this thread meanwhile. */
  release(): void {
    this.#passOn(NOBODY);
  }

  /** Like acquire, without waiting. Undefined if the lock is held by a thread that may not be dead. */
  tryAcquire(): number | undefined {
    const word = Atomics.load(this.#words, this.#owner);
    const workerId = word & MAX_WORKER_ID;
    if (workerId !== NOBODY && !this.#mayTakeFrom(workerId)) return undefined;
    // Other threads may be sleeping too, so a thread that has waited takes the lock with WAITED set.
    const taken = Atomics.compareExchange(this.#words, this.#owner, word, this.#workerId | WAITED) === word;
    return taken ? workerId : undefined;
  }

  /** Resolves when another attempt may succeed, after SLEEP_MS at the latest. */
  async pause(): Promise<void> {
    const word = this.#announce();
    if (word === undefined) return;
    this.#note(word, await Atomics.waitAsync(this.#words, this.#owner, word, SLEEP_MS).value);
  }

  /** Declares a worker dead, for good. `isGone`: its thread has certainly ended. */
  fence(workerId: number, isGone: boolean): void {
    const bit = 1 << (workerId & 31);
    if (isGone) Atomics.or(this.#words, this.#fences + FENCE_WORDS + (workerId >>> 5), bit);
    Atomics.or(this.#words, this.#fences + (workerId >>> 5), bit);
  }

  #contend(): number {
    const words = this.#words;
    for (let spin = 0; spin < SPINS; spin++) {
      if (
        Atomics.load(words, this.#owner) === NOBODY &&
        Atomics.compareExchange(words, this.#owner, NOBODY, this.#workerId) === NOBODY
      ) return NOBODY;
    }
    for (;;) {
      const dead = this.tryAcquire();
      if (dead !== undefined) return dead;
      const word = this.#announce();
      if (word !== undefined) this.#note(word, Atomics.wait(words, this.#owner, word, SLEEP_MS));
    }
  }

  /**
   * Sets WAITED in the lock word. Returns the word to sleep on; undefined if the lock is free or the word has changed.
   */
  #announce(): number | undefined {
    const word = Atomics.load(this.#words, this.#owner);
    if (word === NOBODY) return undefined;
    const waited = word | WAITED;
    if (word === waited || Atomics.compareExchange(this.#words, this.#owner, word, waited) === word) return waited;
    return undefined;
  }

  #note(word: number, slept: "ok" | "not-equal" | "timed-out"): void {
    const workerId = word & MAX_WORKER_ID;
    const isSame = slept === "timed-out" && workerId === this.#waitedFor;
    this.#waitedMs = isSame ? this.#waitedMs + SLEEP_MS : 0;
    this.#waitedFor = workerId;
  }

  #mayTakeFrom(workerId: number): boolean {
    if (this.#hasBit(this.#fences + FENCE_WORDS, workerId)) return true;
    return this.#waitedFor === workerId && this.#waitedMs >= PATIENCE_MS && this.#hasBit(this.#fences, workerId);
  }

  #hasBit(at: number, workerId: number): boolean {
    return (Atomics.load(this.#words, at + (workerId >>> 5)) & (1 << (workerId & 31))) !== 0;
  }

  /** Frees the lock, or returns it to the dead worker from which it was taken. */
  #passOn(next: number): void {
    if (Atomics.compareExchange(this.#words, this.#owner, this.#workerId, next) === this.#workerId) return;
    const waited = this.#workerId | WAITED;
    if (Atomics.compareExchange(this.#words, this.#owner, waited, next) !== waited) throw this.#isDead();
    Atomics.notify(this.#words, this.#owner, 1);
  }

  #isDead(): VitrineError {
    return new VitrineError("shutting_down", `use L1 as a thread that was declared dead: worker ${this.#workerId}`);
  }
}

/** Runs a critical section under the arena's lock and publishes its events after the release, even if it throws. */
export type Locked = <T>(section: () => T) => T;

/**
 * Critical sections over one lock and the events of one thread; they must not nest. `mend` runs under the lock, before
 * a section that follows one interrupted by a thread's death, and after a section that throws anything but a
 * VitrineError.
 */
export function lockedSections(lock: SharedLock, events: PendingEvents, mend: () => void): Locked {
  return (section) => {
    const dead = lock.acquire();
    try {
      if (dead !== 0) mend();
      return section();
    } catch (error) {
      // A VitrineError leaves the tables consistent; a stack overflow or a full heap may not.
      if (!(error instanceof VitrineError)) mend();
      throw error;
    } finally {
      lock.release();
      events.publish();
    }
  };
}
