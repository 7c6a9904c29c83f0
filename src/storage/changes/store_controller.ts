import { VitrineError } from "../../core/errors.ts";
import type { ObjectKey } from "../../core/key.ts";
import { shareRuns } from "../../core/coalesce.ts";
import type { DirtyObject, Lease } from "../../l1/l1.ts";
import type { OwnerContext } from "../context.ts";
import { IdleCounter } from "../timers.ts";
import { isOutdating } from "../current.ts";
import type { Tier } from "../tiers/tier.ts";
import { memoryObject, memorySource } from "./memory_source.ts";
import type { FollowedWrite } from "./tier_changes.ts";
/** Delays before each retry of a store, in milliseconds. */
const RETRY_DELAYS_MS: readonly number[] = [100, 500];

/** Objects that L1 hands out in one critical section. */
const TAKE = 16;

/** This many objects that the tiers commit in groups count as one concurrent store. */
const GROUPED = 16;

/**
 * Polling interval for dirty objects. Finds those of a thread that died before it sent a wake, or while it stored them.
 */
const LOOK_MS = 500;

/** Delay when L1 cannot hand anything out. */
const LATER_MS = 2;

/** Timeout and polling interval of `settle`, in milliseconds. */
const SETTLE_MS = 1000;
const SETTLE_LOOK_MS = 10;

/** Options of a StoreController. */
export interface StoreControllerOptions {
  /** Number of concurrent stores. */
  readonly concurrency: number;
  /** Called when objects have been stored, so that there may be room for more. */
  readonly onRoom: () => void;
}

/**
 * Stores dirty objects in all tiers, whichever thread acknowledged them: those of a key in admission order, one at a
 * time. One thread does this for all. L1 knows which objects are dirty, so that another thread can continue if it dies.
 */
export class StoreController {
  readonly #context: OwnerContext;
  readonly #concurrency: number;
  readonly #onRoom: () => void;
  readonly #idle = new IdleCounter();
  readonly #repair: () => Promise<void>;
  readonly #requests = new FollowedWrites();
  readonly #stopLooking: () => void;
  #running = 0;
  #ended: { readonly lease: Lease; readonly weight: number }[] = [];
  #stored = 0;
  #refused = 0;

  constructor(context: OwnerContext, { concurrency, onRoom }: StoreControllerOptions) {
    this.#context = context;
    this.#concurrency = concurrency;
    this.#onRoom = onRoom;
    this.#repair = shareRuns(() => repairStale(context));
    const { timers, shared, tiers } = context;
    this.#stopLooking = shared.isShared && tiers.length > 0
      ? timers.every(LOOK_MS, () => this.#look())
      : () => undefined;
  }

  /**
   * Starts stores of waiting objects. May be called whenever there may be some. Throws shutting_down if this thread was
   * declared dead.
   */
  wake(): void {
    const { l1 } = this.#context;
    for (;;) {
      const most = Math.min(TAKE, Math.ceil(this.#concurrency - this.#running));
      const taken = most < 1 ? [] : l1.takeDirty(most);
      for (const object of taken) void this.#run(object);
      if (most < 1 || taken.length < most) return;
    }
  }

  /** Stores all dirty objects, tries once more to delete outdated copies, and stops polling. */
  async end(): Promise<void> {
    await this.flush();
    this.#stopLooking();
    await this.#repair();
  }

  /** Notes that a waiting write belongs to a request whose events carry details. */
  note(followed: FollowedWrite): void {
    this.#requests.note(followed);
  }

  /** Resolves once no object waits and none is being stored here. */
  async flush(): Promise<void> {
    for (;;) {
      this.wake();
      await this.#idle.idle();
      // The end of one store may have begun the next.
      if (this.#idle.running > 0) continue;
      const { entries, storing } = this.#context.l1.dirtyUsage();
      if (entries === storing) return;
      // All leases are taken.
      await this.#context.timers.after(LATER_MS);
    }
  }

  /** Resolves when the objects that are dirty now are stored, after a second at the latest. */
  async settle(): Promise<void> {
    const { l1, clock, timers } = this.#context;
    const sinceMs = clock.monotonicMs();
    this.wake();
    while ((l1.dirtyUsage().oldestMs ?? Infinity) <= sinceMs && clock.monotonicMs() < sinceMs + SETTLE_MS) {
      const isIdle = this.#idle.running === 0;
      await Promise.race([...(isIdle ? [] : [this.#idle.idle()]), timers.after(SETTLE_LOOK_MS)]);
    }
  }

  /** Objects that no newer one has overtaken: stored by at least one tier, or refused by all. */
  get totals(): { readonly stored: number; readonly refused: number } {
    return { stored: this.#stored, refused: this.#refused };
  }

  #look(): void {
    try {
      this.wake();
    } catch (error) {
      // This thread was declared dead although it still runs.
      this.#stopLooking();
      if (!(error instanceof VitrineError && error.code === "shutting_down")) throw error;
    }
  }

  async #run({ key: plainKey, resident }: DirtyObject): Promise<void> {
    const { latch, tiers } = this.#context;
    const requestId = this.#requests.take(resident.meta.version);
    const key = requestId === undefined ? plainKey : { ...plainKey, requestId };
    const isGrouped = tiers.every((tier) => resident.meta.sizeBytes <= tier.groupLimitBytes);
    const weight = isGrouped ? 1 / GROUPED : 1;
    this.#running += weight;
    this.#idle.enter();
    await latch.run(key, () => this.#store(key, resident));
    this.#ended.push({ lease: resident.lease, weight });
    // Stores that end together, as those of one commit do, are given back together.
    if (this.#ended.length === 1) queueMicrotask(() => this.#giveBack());
  }

  #giveBack(): void {
    const ended = this.#ended;
    this.#ended = [];
    this.#context.l1.finishRead(ended.map(({ lease }) => lease));
    for (const { weight } of ended) {
      this.#running -= weight;
      this.#idle.leave();
    }
    this.#onRoom();
    // Runs alongside the next stores: a tier that hangs may take long.
    if (this.#context.tiers.some((tier) => tier.stale.first() !== undefined)) void this.#repair();
    this.wake();
  }

  async #store(key: ObjectKey, resident: DirtyObject["resident"]): Promise<void> {
    const { l1, tiers } = this.#context;
    if (l1.isCurrent(resident.lease)) {
      const [first] = tiers;
      const storing = first !== undefined && tiers.length === 1
        ? [await this.#storeIn(first, key, resident)]
        : await Promise.all(tiers.map((tier) => this.#storeIn(tier, key, resident)));
      if (storing.includes("stored")) this.#stored++;
      else if (storing.includes("refused")) this.#refused++;
    } else if (isOutdating(l1.know(key))) {
      // The tiers' copies are older than the expired object. If it was removed or replaced instead, this store must not
      // touch the tiers.
      await Promise.all(tiers.map((tier) => tier.forget(key)));
    }
  }

  async #storeIn(
    tier: Tier,
    key: ObjectKey,
    resident: DirtyObject["resident"],
  ): Promise<"stored" | "refused" | "overtaken"> {
    const { l1, timers } = this.#context;
    const object = memoryObject(l1, resident, { durable: false });
    for (let attempt = 0; attempt === 0 || l1.isCurrent(resident.lease); attempt += 1) {
      const result = await tier.storeObject(key, object, () => memorySource(l1, resident, { durable: false }));
      tier.settle(key, result);
      const { error } = result;
      if (error === undefined) return "stored";
      const delayMs = RETRY_DELAYS_MS[attempt];
      const isHopeless = error instanceof VitrineError && error.code === "no_room";
      if (delayMs === undefined || isHopeless) break;
      await timers.after(delayMs);
    }
    // A failed store leaves the older object in the tier. The store of a successor would replace it, but the successor
    // may have expired by then.
    await tier.forget(key);
    return l1.isCurrent(resident.lease) ? "refused" : "overtaken";
  }
}

/** Maximum number of remembered writes. A write whose object was replaced is never taken. */
const MOST = 1024;

/** Requests of followed writes that wait for their store. L1 does not know them. */
export class FollowedWrites {
  readonly #requests = new Map<number, string>();

  note({ version, requestId }: FollowedWrite): void {
    this.#requests.set(version, requestId);
    if (this.#requests.size <= MOST) return;
    const [oldest] = this.#requests.keys();
    if (oldest !== undefined) this.#requests.delete(oldest);
  }

  /** Returns and forgets the request of a write. */
  take(version: number): string | undefined {
    if (this.#requests.size === 0) return undefined;
    const requestId = this.#requests.get(version);
    this.#requests.delete(version);
    return requestId;
  }
}

/** Tries again to delete outdated copies whose keys are known here, in each tier until a delete fails. Never throws. */
export async function repairStale({ tiers, latch }: Pick<OwnerContext, "tiers" | "latch">): Promise<void> {
  for (const tier of tiers) {
    let failed = false;
    for (let key = tier.stale.first(); key !== undefined && !failed; key = tier.stale.first()) {
      const stale = key;
      await latch.run(stale, () => tier.stale.has(stale) ? tier.forget(stale) : undefined);
      failed = tier.stale.has(stale);
    }
  }
}
