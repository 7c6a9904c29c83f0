import { setImmediate, setTimeout } from "node:timers";
import { type Every, every } from "../core/clock.ts";
import type { L1, Lease } from "../l1/l1.ts";

/** The timers of the storage manager; tests pass their own. */
export interface Timers {
  /** Never keeps the process alive. */
  readonly every: Every;
  /** Resolves after `delayMs`. */
  after(delayMs: number): Promise<void>;
  /** Resolves in a later turn of the event loop, after other waiting work. */
  turn(): Promise<void>;
}

/** The runtime's own timers. */
export const systemTimers: Timers = {
  every,
  after: (delayMs) => new Promise((resolve) => void setTimeout(resolve, delayMs)),
  turn: () => new Promise((resolve) => void setImmediate(resolve)),
};

/** Polling interval, in milliseconds. */
const POLL_MS = 2;

interface Waiting {
  readonly ready: () => boolean;
  readonly resolve: () => void;
  readonly reject: (reason: unknown) => void;
}

/**
 * Waits for changes that other threads make in shared memory. They send no message, and Atomics.waitAsync is not
 * reliable (docs/STORAGE.md), so it polls every few milliseconds, with one timer for all waiters.
 */
export class Poller {
  readonly #timers: Timers;
  readonly #waiting = new Set<Waiting>();
  #looking = false;

  constructor(timers: Timers) {
    this.#timers = timers;
  }

  /** Polls `ready` until it is true, starting at once. May call it once more afterwards. */
  until(ready: () => boolean): Promise<void> {
    if (ready()) return Promise.resolve();
    return new Promise((resolve, reject) => {
      this.#waiting.add({ ready, resolve, reject });
      if (!this.#looking) void this.#look();
    });
  }

  async #look(): Promise<void> {
    this.#looking = true;
    while (this.#waiting.size > 0) {
      await this.#timers.after(POLL_MS);
      for (const waiting of this.#waiting) this.#ask(waiting);
    }
    this.#looking = false;
  }

  #ask(waiting: Waiting): void {
    try {
      if (!waiting.ready()) return;
      waiting.resolve();
    } catch (error) {
      waiting.reject(error);
    }
    this.#waiting.delete(waiting);
  }
}

/** Counts running operations and reports when none is left. */
export class IdleCounter {
  #running = 0;
  #waiting: (() => void)[] = [];

  get running(): number {
    return this.#running;
  }

  enter(): void {
    this.#running += 1;
  }

  leave(): void {
    this.#running -= 1;
    if (this.#running > 0) return;
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const wake of waiting) wake();
  }

  /** Resolves once nothing runs; at once if nothing does. */
  idle(): Promise<void> {
    if (this.#running === 0) return Promise.resolve();
    return new Promise((resolve) => this.#waiting.push(resolve));
  }
}

/**
 * Renews every lease in use long before it expires, with one timer for all, so that a stalled client keeps its memory.
 */
export class LeaseRenewer {
  readonly #l1: L1;
  readonly #everyMs: number;
  readonly #timers: Timers;
  readonly #leases = new Set<Lease>();
  #stop: (() => void) | undefined;

  /** `leaseMs`: time for which L1 keeps a lease that is not renewed. */
  constructor(l1: L1, options: { readonly leaseMs: number; readonly timers: Timers }) {
    this.#l1 = l1;
    this.#everyMs = Math.max(1, Math.floor(options.leaseMs / 4));
    this.#timers = options.timers;
  }

  keep(lease: Lease): void {
    this.#leases.add(lease);
    this.#stop ??= this.#timers.every(this.#everyMs, () => this.#renew());
  }

  drop(lease: Lease): void {
    this.#leases.delete(lease);
  }

  #renew(): void {
    for (const lease of this.#leases) {
      if (!this.#l1.renew(lease)) this.#leases.delete(lease);
    }
    // The timer ends here rather than in `drop`, so that a busy server does not start and stop it with every read.
    if (this.#leases.size > 0) return;
    this.#stop?.();
    this.#stop = undefined;
  }
}
