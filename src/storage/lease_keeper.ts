import type { L1, Lease } from "../l1/l1.ts";
import type { Timers } from "./timers.ts";

/**
 * Renews every lease in use long before it expires, with one timer for all, so that a stalled client keeps its memory.
 */
export class LeaseKeeper {
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
