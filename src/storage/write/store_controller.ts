import { keyId, type ObjectKey } from "../../core/key.ts";
import { VitrineError } from "../../core/errors.ts";
import type { Resident } from "../../l1/types.ts";
import type { StorageContext } from "../context.ts";
import { IdleCounter } from "../idle_counter.ts";
import { memorySource } from "../memory_source.ts";
import type { QueueLimits } from "../shared/queue_share.ts";
import type { Tier } from "../tiers/tier.ts";
import { type Place, StoreQueue } from "./store_queue.ts";

/** How long to wait before each further attempt to store, in milliseconds. */
const RETRY_DELAYS_MS: readonly number[] = [100, 500];

/** An object that is acknowledged and waits for its store. */
export interface StoreJob {
  readonly key: ObjectKey;
  /** Its lease has no deadline: it keeps the bytes in memory, and L1 in the knowledge that the tiers are behind. The controller gives it back. */
  readonly resident: Resident;
  readonly place: Place;
}

interface Job extends StoreJob {
  readonly queuedMs: number;
  /** A newer write or a delete of the key has been acknowledged: storing this one serves nobody. */
  superseded: boolean;
}

/**
 * Stores acknowledged objects in all tiers, in the background, at most one job per key at a time. Other threads do the same for their own writes;
 * L1 knows all unsaved objects, this class only its own.
 */
export class StoreController {
  readonly #context: StorageContext;
  readonly #queue: StoreQueue;
  readonly #concurrency: number;
  readonly #waiting = new Map<string, Job>();
  /** The newest unfinished job of each key. */
  readonly #unsaved = new Map<string, Job>();
  readonly #idle = new IdleCounter();
  #running = 0;
  #stored = 0;
  #refused = 0;

  constructor(context: StorageContext, options: { readonly limits: QueueLimits; readonly concurrency: number }) {
    this.#context = context;
    this.#queue = new StoreQueue({ limits: options.limits, shared: context.shared, poller: context.poller });
    this.#concurrency = options.concurrency;
  }

  /** A place in the queue for an object of this size; waits while the queue is full. Never ask for it while holding a latch: the jobs need those. */
  enter(bytes: number): Place | Promise<Place> {
    return this.#queue.enter(bytes);
  }

  /** To be called in the turn in which the object was admitted. Takes over the turn of an older job of the key. */
  enqueue(store: StoreJob): void {
    const id = keyId(store.key);
    this.#idle.enter();
    this.#supersede(id, false);
    const job = { ...store, queuedMs: this.#context.clock.monotonicMs(), superseded: false };
    this.#unsaved.set(id, job);
    this.#waiting.set(id, job);
    this.#start();
  }

  /** Goes on with what a dead holder had acknowledged and not stored. Returns how many objects. */
  adopt(holder: number): number {
    const { l1, clock } = this.#context;
    const adopted = l1.adoptUnsaved(holder);
    for (const { key, resident } of adopted) {
      const store = { key, resident, place: this.#queue.adopt(resident.meta.sizeBytes) };
      if (l1.isCurrent(resident.lease)) this.enqueue(store);
      else {
        // Expired or replaced: not to take the place of a newer job of this thread.
        this.#idle.enter();
        void this.#run(keyId(key), { ...store, queuedMs: clock.monotonicMs(), superseded: false });
      }
    }
    return adopted.length;
  }

  /** Whether any object, or any of one tenant's, waits here for its store. */
  hasUnsaved(tenant: string | undefined): boolean {
    if (tenant === undefined) return this.#unsaved.size > 0;
    return this.#unsaved.values().some((job) => job.key.tenant === tenant);
  }

  /** Drops the job of a key that now has another object, or none, in all tiers. */
  cancel(key: ObjectKey): void {
    this.#supersede(keyId(key), true);
  }

  /** Like `cancel`, for all keys or one tenant's. */
  cancelAll(tenant: string | undefined): void {
    for (const [id, job] of this.#unsaved) {
      if (tenant === undefined || job.key.tenant === tenant) this.#supersede(id, true);
    }
  }

  /** Resolves once no job waits or runs. */
  flush(): Promise<void> {
    return this.#idle.idle();
  }

  /** What became of the jobs that nothing newer has overtaken: a tier has the object, or none took it. */
  get totals(): { readonly stored: number; readonly refused: number } {
    return { stored: this.#stored, refused: this.#refused };
  }

  status(): {
    readonly entries: number;
    readonly bytes: number;
    readonly inFlight: number;
    readonly oldestAgeSeconds: number;
  } {
    const monotonicMs = this.#context.clock.monotonicMs();
    let oldestMs = monotonicMs;
    for (const job of this.#unsaved.values()) oldestMs = Math.min(oldestMs, job.queuedMs);
    return {
      entries: this.#queue.entries,
      bytes: this.#queue.bytes,
      inFlight: this.#running,
      oldestAgeSeconds: (monotonicMs - oldestMs) / 1000,
    };
  }

  /** A waiting job ends here; one that was taken up ends by itself, and finds itself superseded. */
  #supersede(id: string, forget: boolean): void {
    const job = this.#unsaved.get(id);
    if (job === undefined) return;
    job.superseded = true;
    if (forget) this.#unsaved.delete(id);
    if (this.#waiting.get(id) === job) {
      if (forget) this.#waiting.delete(id);
      this.#end(job);
    }
  }

  #start(): void {
    while (this.#running < this.#concurrency) {
      const next = this.#waiting.entries().next().value;
      if (next === undefined) return;
      this.#waiting.delete(next[0]);
      void this.#run(next[0], next[1]);
    }
  }

  async #run(id: string, job: Job): Promise<void> {
    this.#running += 1;
    await this.#context.latch.run(job.key, () => this.#store(id, job));
    this.#end(job);
    await this.repair();
    this.#running -= 1;
    this.#start();
  }

  /** Tries again to delete outdated copies that could not be deleted, in each tier until it fails. Never throws. */
  async repair(): Promise<void> {
    for (const tier of this.#context.tiers) {
      let failed = false;
      for (let key = tier.firstStale(); key !== undefined && !failed; key = tier.firstStale()) {
        const stale = key;
        await this.#context.latch.run(stale, () => tier.isStale(stale) ? tier.forget(stale) : undefined);
        failed = tier.isStale(stale);
      }
    }
  }

  async #store(id: string, job: Job): Promise<void> {
    const { l1, tiers } = this.#context;
    if (this.#isCurrent(job)) {
      const outcomes = await Promise.all(tiers.map((tier) => this.#storeIn(tier, job)));
      if (outcomes.includes("stored")) this.#stored++;
      else if (outcomes.includes("refused")) this.#refused++;
    } else if (l1.isExpiredUnsaved(job.key)) {
      // What the tiers hold is older than what has expired. If it was removed or replaced instead, here or in another thread, the tiers are none of this job's.
      await Promise.all(tiers.map((tier) => tier.forget(job.key)));
    }
    if (this.#unsaved.get(id) === job) this.#unsaved.delete(id);
  }

  async #storeIn(tier: Tier, job: Job): Promise<"stored" | "refused" | "overtaken"> {
    const { l1, timers } = this.#context;
    for (let attempt = 0; this.#isCurrent(job); attempt += 1) {
      try {
        await tier.store(job.key, memorySource(l1, job.resident, { durable: false }));
        return "stored";
      } catch (error) {
        const delayMs = RETRY_DELAYS_MS[attempt];
        const hopeless = error instanceof VitrineError && error.code === "no_room";
        if (delayMs === undefined || hopeless) break;
        await timers.after(delayMs);
      }
    }
    // A failed store leaves what was there: an older object. A successor's job would replace it anyway, but it may be expired by now.
    if (job.superseded) return "overtaken";
    await tier.forget(job.key);
    return this.#isCurrent(job) ? "refused" : "overtaken";
  }

  #isCurrent(job: Job): boolean {
    return !job.superseded && this.#context.l1.isCurrent(job.resident.lease);
  }

  #end(job: Job): void {
    this.#context.l1.finishRead([job.resident.lease]);
    job.place.leave();
    this.#idle.leave();
  }
}
