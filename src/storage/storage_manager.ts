import { VitrineError } from "../core/errors.ts";
import type { MissReason } from "../core/events.ts";
import type { ObjectKey, ObjectMeta, Precondition } from "../core/object.ts";
import type { EventMap } from "../events/catalogue.ts";
import type { StoreLimits } from "../l1/l1.ts";
import type { L2Adapter, L2Reader, ListPage } from "../l2/adapter.ts";
import type { TierChanges } from "./changes/tier_changes.ts";
import { TierOwner } from "./changes/tier_owner.ts";
import type { StoreTotals } from "./changes/write_back.ts";
import { type ContextOptions, openOwnerContext, openReaderContext, type StorageContext } from "./context.ts";
import { explain, missReason } from "./read/explain.ts";
import { Freshness } from "./read/freshness.ts";
import { L1Listing } from "./read/l1_listing.ts";
import { listObjects } from "./read/listing.ts";
import { LoadController } from "./read/load_controller.ts";
import { lookUpMany, publishLookup } from "./read/many_lookup.ts";
import { PrefetchController } from "./read/prefetch.ts";
import {
  type Explanation,
  type FoundObject,
  type HeldKeys,
  type Holder,
  type Job,
  type LevelListQuery,
  type LookupListener,
  type ManyLookup,
  type MaybePromise,
  type ObjectRead,
  type Prefetch,
  type PrefetchState,
  type PutRequest,
  type Storage,
  type StorageStatus,
  storeQueueStatus,
  type Upload,
  type UseHit,
} from "./storage.ts";
import { MissedTier } from "./tiers/tier_reader.ts";
import { WriteController } from "./write_controller.ts";

/**
 * Timeout for a tier's usage. Less than the time for which the main thread waits for a worker's status, which includes
 * it.
 */
const USAGE_MS = 750;

/** The tiers, in the order in which they are asked, and their owner if it is another thread. */
type TierOptions =
  | { readonly tiers: readonly L2Adapter[]; readonly changes?: undefined }
  | { readonly tiers: readonly L2Reader[]; readonly changes: TierChanges };

/** Options of a StorageManager. */
export type StorageManagerOptions = ManagerOptions & TierOptions;

interface ManagerOptions extends ContextOptions {
  /** back: acknowledge from L1, flush in the background; through: acknowledge once all tiers have it. */
  readonly write: "back" | "through";
  readonly maxObjectBytes: number;
  /** Limits on dirty objects, over all threads that share L1. */
  readonly storeQueue: StoreLimits;
  /** Objects that this thread loads at the same time before anybody reads them (default 8). */
  readonly prefetchLoads?: number | undefined;
  /** Number of concurrent stores in the background. */
  readonly storeConcurrency: number;
}

/**
 * L1 and the tiers as one cache. Composes the controllers and publishes the lookups of requests. docs/STORAGE.md has
 * the guarantees.
 */
export class StorageManager implements Storage {
  readonly tiers: readonly string[];
  readonly #context: StorageContext;
  readonly #loads: LoadController;
  readonly #freshness: Freshness;
  readonly #prefetches: PrefetchController;
  readonly #changes: TierChanges;
  /** The owner of the tiers, if it is this thread. */
  readonly #owner: TierOwner | undefined;
  readonly #writes: WriteController;
  readonly #listing: L1Listing;
  #draining: Promise<void> | undefined;

  constructor(options: StorageManagerOptions) {
    const { storeQueue } = options;
    const { context, changes, owner } = join(options);
    this.#context = context;
    this.tiers = ["l1", ...context.tiers.map((tier) => tier.name)];
    this.#changes = changes;
    this.#owner = owner;
    const loads = new LoadController(this.#context, { maxFetches: options.prefetchLoads });
    this.#loads = loads;
    this.#freshness = new Freshness(context, changes);
    this.#prefetches = new PrefetchController(this.#context, { loads, freshness: this.#freshness });
    this.#listing = new L1Listing(this.#context);
    this.#writes = new WriteController(this.#context, {
      changes,
      storeQueue,
      write: options.write,
      maxObjectBytes: options.maxObjectBytes,
      find: async (key) => (await loads.find(key))?.meta,
    });
  }

  hit<T>(key: ObjectKey, maxBytes: number, use: UseHit<T>): T | undefined {
    let meta: ObjectMeta | undefined;
    try {
      const { l1, maxAgeMs } = this.#context;
      return l1.hit(key, maxBytes, (found, extents) => use(meta = found, extents), maxAgeMs);
    } finally {
      if (meta !== undefined) this.#hit(key, meta);
    }
  }

  get(key: ObjectKey, listener?: LookupListener): MaybePromise<ObjectRead | undefined> {
    const verifying = this.#freshness.verify(key);
    return verifying === undefined ? this.#get(key, listener) : verifying.then(() => this.#get(key, listener));
  }

  #get(key: ObjectKey, listener?: LookupListener): MaybePromise<ObjectRead | undefined> {
    const { tenant, requestId } = key;
    const resident = this.#loads.resident(key);
    const [succeeded, failed] = resident === undefined ? [0, 1] : [1, 0];
    this.#context.publish("sm.read.prefetched", { tenant, succeeded, failed, requestId });
    if (resident !== undefined) return this.#found(key, resident);
    return this.#decide(this.#loads.load(key, listener), key, listener);
  }

  head(
    key: ObjectKey,
    listener?: LookupListener,
  ): MaybePromise<FoundObject | undefined> {
    const verifying = this.#freshness.verify(key);
    return verifying === undefined ? this.#head(key, listener) : verifying.then(() => this.#head(key, listener));
  }

  #head(key: ObjectKey, listener?: LookupListener): MaybePromise<FoundObject | undefined> {
    const meta = this.#context.l1.peek(key);
    return meta === undefined
      ? this.#decide(this.#loads.find(key, listener), key, listener)
      : this.#found(key, { meta, tier: "l1" });
  }

  async lookup(keys: readonly ObjectKey[], options: ManyLookup = {}): Promise<HeldKeys> {
    const { held, unknownKeys } = await lookUpMany(this.#context, keys, {
      ...options,
      loads: this.#loads,
      freshness: this.#freshness,
    });
    publishLookup(this.#context.publish, { keys, held, unknownKeys, tokensPerKey: options.tokensPerKey ?? 1 });
    return held;
  }

  prefetch(keys: readonly ObjectKey[], prefetch: Prefetch): Holder {
    this.#assertOpen("begin prefetch");
    return this.#prefetches.begin(keys, prefetch);
  }

  prefetchState(job: Job, waitMs: number): Promise<PrefetchState | undefined> {
    return this.#prefetches.state(job, waitMs);
  }

  cancelPrefetch(job: Job, tenant: string): boolean {
    return this.#prefetches.cancel(job, tenant);
  }

  release(holder: Holder, tenant: string): number {
    return this.#context.l1.release(holder, tenant);
  }

  explain(key: ObjectKey): Promise<Explanation> {
    return explain(this.#context, key);
  }

  reserve(request: PutRequest): MaybePromise<Upload> {
    const verifying = request.precondition && this.#freshness.verify(request.key);
    return verifying === undefined
      ? this.#writes.reserve(request)
      : verifying.then(() => this.#writes.reserve(request));
  }

  async delete(key: ObjectKey, precondition?: Precondition): Promise<boolean> {
    this.#assertOpen("remove objects");
    if (precondition !== undefined) await this.#freshness.verify(key);
    return await this.#changes.delete(key, precondition);
  }

  async clear(
    options: { readonly tenant: string | undefined; readonly tier: string | undefined },
  ): Promise<Readonly<Record<string, number>>> {
    this.#assertOpen("remove objects");
    return await this.#changes.clear(options.tenant, options.tier);
  }

  list({ tier, ...query }: LevelListQuery): Promise<ListPage> {
    return listObjects(this.#context, { query, tier, l1: this.#listing });
  }

  /** The reason why a tier cannot be used; undefined if all can. */
  get trouble(): string | undefined {
    return this.#context.tiers.find((tier) => tier.trouble !== undefined)?.trouble;
  }

  /** The ids of other servers that the tiers lead to. */
  get serversBehind(): readonly string[] {
    return this.#context.tiers.flatMap(({ serversBehind }) => serversBehind);
  }

  /** Loads from the tiers that this thread is running. */
  get loadsInFlight(): number {
    return this.#loads.inFlight;
  }

  async status(): Promise<StorageStatus> {
    const usages = this.#context.tiers.map(async (tier) => {
      try {
        return { tier: tier.name, ...await this.#soon(tier.usage()) };
      } catch (error) {
        return { tier: tier.name, error: error instanceof Error ? error.message : String(error) };
      }
    });
    return {
      l1: this.#context.l1.usage(),
      l2: await Promise.all(usages),
      storeQueue: storeQueueStatus(this.#context),
      quotas: this.#context.l1.quotas(),
      loadsInFlight: this.loadsInFlight,
      lossesForgotten: this.#context.shared.history.forgotten,
    };
  }

  /** The tier's answer, or an error if there is none within USAGE_MS. */
  #soon<T>(answer: Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      const stop = this.#context.timers.every(USAGE_MS, () => {
        stop();
        reject(new VitrineError("tier_failed", `measure tier: no answer within ${USAGE_MS} ms`));
      });
      void answer.then(resolve, reject).finally(stop);
    });
  }

  /** Number of objects that this thread stored in the background, and number that no tier took. */
  get storeTotals(): StoreTotals {
    return this.#owner?.totals ?? { stored: 0, refused: 0 };
  }

  drain(): Promise<void> {
    this.#draining ??= this.#drain();
    return this.#draining;
  }

  async #drain(): Promise<void> {
    this.#prefetches.stop();
    await this.#writes.drain();
    await this.#owner?.end();
    await this.#loads.drain();
    const closing = await Promise.allSettled(this.#context.tiers.map((tier) => tier.close()));
    const failed = closing.find((outcome) => outcome.status === "rejected");
    if (failed !== undefined) throw failed.reason;
  }

  #assertOpen(action: string): void {
    if (this.#draining !== undefined) {
      throw new VitrineError("shutting_down", `${action}: the server is shutting down`);
    }
  }

  /**
   * Publishes the outcome of a lookup that has to wait. Each get and head publishes one outcome, here or in `#found`.
   */
  async #decide<T extends FoundObject>(
    looking: Promise<T | undefined>,
    key: ObjectKey,
    listener: LookupListener | undefined,
  ): Promise<T | undefined> {
    let found: T | undefined;
    try {
      found = await looking;
    } catch (error) {
      if (error instanceof MissedTier) return this.#reportMiss(key, "tier_failed", listener);
      this.#missed(key, "error", "tier_failed");
      throw error;
    }
    if (found !== undefined) return this.#found(key, found);
    return this.#reportMiss(key, missReason(this.#context, key), listener);
  }

  #reportMiss(key: ObjectKey, reason: MissReason, listener: LookupListener | undefined): undefined {
    listener?.missed(reason);
    this.#missed(key, "miss", reason);
    return undefined;
  }

  /** Publishes what a get publishes that finds an object in L1 and releases it. */
  #hit(key: ObjectKey, meta: ObjectMeta): void {
    const { tenant, requestId } = key;
    this.#context.publish("sm.read.prefetched", { tenant, succeeded: 1, failed: 0, requestId });
    this.#found(key, { meta, tier: "l1" });
    this.#context.publish("sm.read.finished", { tenant, keys: 1, bytes: meta.sizeBytes, requestId });
  }

  #found<T extends FoundObject>({ tenant, key, requestId }: ObjectKey, found: T): T {
    const { tier, meta: { sizeBytes: bytes } } = found;
    const decided = { tenant, tier, result: "hit", reason: "", keys: 1, bytes, key, requestId } as const;
    this.#context.publish("lookup.finished", decided);
    return found;
  }

  #missed(
    { tenant, key, requestId }: ObjectKey,
    result: "miss" | "error",
    reason: EventMap["lookup.finished"]["reason"],
  ): void {
    const decided = { tenant, tier: "", result, reason, keys: 1, bytes: 0, key, requestId };
    this.#context.publish("lookup.finished", decided);
  }
}

/** The manager's context, and the owner of the tiers: itself, unless that is another thread. */
function join(options: StorageManagerOptions): {
  readonly context: StorageContext;
  readonly changes: TierChanges;
  readonly owner: TierOwner | undefined;
} {
  const { changes, storeConcurrency: concurrency, storeQueue } = options;
  if (changes !== undefined) return { context: openReaderContext(options.tiers, options), changes, owner: undefined };
  const context = openOwnerContext(options.tiers, options);
  const owner = new TierOwner(context, { concurrency, storeQueue });
  return { context, changes: owner, owner };
}
