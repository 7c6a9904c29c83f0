import { shareRuns } from "../../core/coalesce.ts";
import { VitrineError } from "../../core/errors.ts";
import type { ObjectKey } from "../../core/object.ts";
import type { DirtyObject, Lease } from "../../l1/l1.ts";
import { ignoreFenced, type OwnerContext } from "../context.ts";
import { isOutdating } from "../current.ts";
import { memoryObject, memorySource } from "../leased_memory.ts";
import type { Tier } from "../tiers/tier.ts";
import { IdleCounter } from "../timers.ts";
import type { TracedWrite } from "./tier_changes.ts";

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

/** Result of a store in one tier. `unreachable`: the tier cannot be used, and still has what it had. */
type TierResult = "stored" | "refused" | "overtaken" | "unreachable";

/** Numbers of objects that no newer one has overtaken. */
export interface StoreTotals {
  /** Stored by at least one tier. */
  readonly stored: number;
  /** Taken by no tier, after all attempts. */
  readonly refused: number;
}

/** Options of a WriteBack. */
export interface WriteBackOptions {
  /** Number of concurrent stores. */
  readonly concurrency: number;
  /** Called when objects have been stored, so that there may be room for more. */
  readonly onRoom: () => void;
}

/**
 * Stores dirty objects in the tiers, whichever thread acknowledged them: those of a key in admission order, one at a
 * time. One thread does this for all. L1 knows which objects are dirty, so that another thread can continue if it dies.
 */
export class WriteBack {
  readonly #context: OwnerContext;
  readonly #concurrency: number;
  readonly #onRoom: () => void;
  readonly #idle = new IdleCounter();
  readonly #repair: () => Promise<void>;
  readonly #requests = new TracedWrites();
  readonly #postponed = new PostponedStores();
  /** The treatment of tiers that cannot be used, for new stores. */
  #patience: StorePatience = "wait";
  readonly #stopLooking: () => void;
  #running = 0;
  #ended: { readonly lease: Lease; readonly weight: number }[] = [];
  #stored = 0;
  #refused = 0;

  constructor(context: OwnerContext, { concurrency, onRoom }: WriteBackOptions) {
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
  note(traced: TracedWrite): void {
    this.#requests.note(traced);
  }

  /** Resolves once no object waits and none is being stored here. From now on no store waits for a tier. */
  async flush(): Promise<void> {
    this.#patience = "insist";
    for (;;) {
      this.#postponed.release("insist", () => true);
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

  /** Abandons the oldest object that waits for a tier, so that another write gets its room. */
  makeRoom(): void {
    this.#postponed.abandonOldest();
  }

  get totals(): StoreTotals {
    return { stored: this.#stored, refused: this.#refused };
  }

  #look(): void {
    try {
      this.wake();
    } catch (error) {
      this.#stopLooking();
      ignoreFenced(error);
    }
  }

  async #run({ key: plainKey, resident }: DirtyObject): Promise<void> {
    const { keyLock, storeTiers } = this.#context;
    const requestId = this.#requests.take(resident.meta.version);
    const key = requestId === undefined ? plainKey : { ...plainKey, requestId };
    const isGrouped = storeTiers.every((tier) => resident.meta.sizeBytes <= tier.groupLimitBytes);
    const weight = isGrouped ? 1 / GROUPED : 1;
    this.#running += weight;
    this.#idle.enter();
    let patience = this.#patience;
    while (await keyLock.run(key, () => this.#store(key, resident, patience)) === "postponed") {
      // Without the lock, and without a share of the concurrency: this may take long.
      this.#running -= weight;
      patience = await this.#postpone(resident.lease);
      this.#running += weight;
    }
    this.#ended.push({ lease: resident.lease, weight });
    // Stores that end together, as those of one commit do, are given back together.
    if (this.#ended.length === 1) queueMicrotask(() => this.#giveBack());
  }

  #postpone(lease: Lease): Promise<StorePatience> {
    if (this.#postponed.areNone) void this.#awaitTiers();
    return this.#postponed.wait(lease);
  }

  /** Lets postponed stores go on when a tier can be used, and those of objects that are not current any more. */
  async #awaitTiers(): Promise<void> {
    const { l1, storeTiers, timers } = this.#context;
    do {
      await timers.after(LOOK_MS);
      const isUsable = storeTiers.some(({ trouble }) => trouble === undefined);
      this.#postponed.release(this.#patience, (lease) => isUsable || !l1.isCurrent(lease));
    } while (!this.#postponed.areNone);
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

  async #store(
    key: ObjectKey,
    resident: DirtyObject["resident"],
    patience: StorePatience,
  ): Promise<"done" | "postponed"> {
    const { l1, tiers, storeTiers, otherTiers, publish } = this.#context;
    if (!l1.isCurrent(resident.lease)) {
      // The tiers' copies are older than the expired object. If it was removed or replaced fallback, this store must
      // not touch the tiers.
      if (isOutdating(l1.know(key))) await Promise.all(tiers.map((tier) => tier.forget(key)));
      return "done";
    }
    // First, so that after a crash they have nothing older than what is stored.
    if (otherTiers.length > 0) await Promise.all(otherTiers.map((tier) => tier.forget(key)));
    const [first] = storeTiers;
    const results = first !== undefined && storeTiers.length === 1
      ? [await this.#storeIn(first, { key, resident, patience })]
      : await Promise.all(storeTiers.map((tier) => this.#storeIn(tier, { key, resident, patience })));
    if (results.includes("stored")) this.#stored++;
    else if (results.includes("unreachable") && patience === "wait") return "postponed";
    else if (!results.includes("overtaken")) {
      this.#refused++;
      const { tenant, requestId } = key;
      publish("sm.write_back.failed", { tenant, keys: 1, bytes: resident.meta.sizeBytes, key: key.key, requestId });
    }
    // A tier without the object must not keep an older one: the store of a successor would replace it, but the
    // successor may have expired by then.
    const outdated = storeTiers.filter((_, index) => results[index] !== "stored");
    if (outdated.length > 0) await Promise.all(outdated.map((tier) => tier.forget(key)));
    return "done";
  }

  async #storeIn(
    tier: Tier,
    { key, resident, patience }: {
      readonly key: ObjectKey;
      readonly resident: DirtyObject["resident"];
      readonly patience: StorePatience;
    },
  ): Promise<TierResult> {
    const { l1, timers } = this.#context;
    if (patience === "abandon" || (patience === "wait" && tier.trouble !== undefined)) return "unreachable";
    const object = memoryObject(l1, resident, { durable: false });
    for (let attempt = 0; attempt === 0 || l1.isCurrent(resident.lease); attempt += 1) {
      const result = await tier.storeObject(key, object, () => memorySource(l1, resident, { durable: false }));
      tier.settle(key, result);
      const { error } = result;
      if (error === undefined) return "stored";
      if (patience === "wait" && tier.trouble !== undefined) return "unreachable";
      const delayMs = RETRY_DELAYS_MS[attempt];
      const isHopeless = error instanceof VitrineError && error.code === "no_room";
      if (delayMs === undefined || isHopeless) break;
      await timers.after(delayMs);
    }
    return l1.isCurrent(resident.lease) ? "refused" : "overtaken";
  }
}

/** Maximum number of remembered writes. A write whose object was replaced is never taken. */
const MOST = 1024;

/** Requests of traced writes that wait for their store. L1 does not know them. */
class TracedWrites {
  readonly #requests = new Map<number, string>();

  note({ version, requestId }: TracedWrite): void {
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
async function repairStale({ tiers, keyLock }: Pick<OwnerContext, "tiers" | "keyLock">): Promise<void> {
  for (const tier of tiers) {
    let failed = false;
    for (let key = tier.stale.first(); key !== undefined && !failed; key = tier.stale.first()) {
      const stale = key;
      await keyLock.run(stale, () => tier.stale.has(stale) ? tier.forget(stale) : undefined);
      failed = tier.stale.has(stale);
    }
  }
}

/**
 * What a store does about tiers that cannot be used: it waits until one can, fails after some attempts, or fails
 * without another attempt.
 */
type StorePatience = "wait" | "insist" | "abandon";

/** Stores of objects that no tier has because no tier can be used. They wait until one can, oldest first. */
class PostponedStores {
  readonly #waiting = new Map<Lease, (patience: StorePatience) => void>();

  get areNone(): boolean {
    return this.#waiting.size === 0;
  }

  /** Resolves when the store of the object behind `lease` must go on. */
  wait(lease: Lease): Promise<StorePatience> {
    return new Promise((resolve) => void this.#waiting.set(lease, resolve));
  }

  /** Lets those stores go on whose lease `isDue` accepts. */
  release(patience: StorePatience, isDue: (lease: Lease) => boolean): void {
    for (const [lease, resolve] of this.#waiting) {
      if (!isDue(lease)) continue;
      this.#waiting.delete(lease);
      resolve(patience);
    }
  }

  /** Abandons the oldest store, to make room for another write. */
  abandonOldest(): void {
    for (const [lease, resolve] of this.#waiting) {
      this.#waiting.delete(lease);
      resolve("abandon");
      return;
    }
  }
}
