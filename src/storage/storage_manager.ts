import type { Clock } from "../core/clock.ts";
import { VitrineError } from "../core/errors.ts";
import type { ObjectKey } from "../core/key.ts";
import type { ObjectMeta } from "../core/object.ts";
import type { Publish } from "../core/publish.ts";
import type { EventMap } from "../events/catalogue.ts";
import type { L1 } from "../l1/types.ts";
import type { L2Adapter } from "../l2/adapter.ts";
import type { StorageContext } from "./context.ts";
import { KeyLatch } from "./key_latch.ts";
import { L1Listing } from "./l1_listing.ts";
import { LeaseKeeper } from "./lease_keeper.ts";
import { listObjects } from "./listing.ts";
import { explain } from "./read/explain.ts";
import { LoadController } from "./read/load_controller.ts";
import { missReason } from "./read/miss_reason.ts";
import { Poller } from "./poller.ts";
import { Remover } from "./remover.ts";
import { allocateSharedKeys } from "./shared/memory.ts";
import type { QueueLimits } from "./shared/queue_share.ts";
import { SharedKeys } from "./shared/shared_keys.ts";
import { Tier } from "./tiers/tier.ts";
import { systemTimers, type Timers } from "./timers.ts";
import type {
  Explanation,
  LookupListener,
  MaybePromise,
  ObjectRead,
  Precondition,
  PutRequest,
  Storage,
  StorageStatus,
  Upload,
} from "./types.ts";
import { Committer } from "./write/committer.ts";
import { StoreController } from "./write/store_controller.ts";
import { WriteController } from "./write/write_controller.ts";

/** How long a tier may take to say how full it is: less than main waits for a worker's status, which has more in it. */
const USAGE_MS = 750;

/** What a StorageManager is made of. */
export interface StorageManagerOptions {
  readonly l1: L1;
  /** In the order they are asked, the same in all threads that share L1, at most 31; every object is stored in all of them. */
  readonly tiers: readonly L2Adapter[];
  readonly publish: Publish<EventMap>;
  readonly clock: Clock;
  /** back: acknowledge from L1, store in the background; through: acknowledge when all tiers have it. */
  readonly write: "back" | "through";
  readonly maxObjectBytes: number;
  /** How long L1 keeps a lease that nobody renews, in milliseconds. */
  readonly leaseMs: number;
  /** One bound for all threads that share L1. */
  readonly storeQueue: QueueLimits;
  /** How many objects are stored side by side in the background. */
  readonly storeConcurrency: number;
  /** This thread's part in what all threads over one L1 share; needed as soon as there is more than one (default: private to this manager). */
  readonly shared?: SharedKeys;
  /** Default: the runtime's. */
  readonly timers?: Timers;
}

/** L1 and the tiers as one cache; composes the controllers and publishes what requests ask. docs/STORAGE.md has the guarantees. */
export class StorageManager implements Storage {
  readonly tiers: readonly string[];
  readonly #context: StorageContext;
  readonly #loads: LoadController;
  readonly #stores: StoreController;
  readonly #writes: WriteController;
  readonly #remover: Remover;
  readonly #listing: L1Listing;
  #draining: Promise<void> | undefined;

  constructor(options: StorageManagerOptions) {
    const { l1, publish, clock, timers = systemTimers, shared = privateKeys() } = options;
    const poller = new Poller(timers);
    this.#context = {
      l1,
      publish,
      clock,
      timers,
      tiers: options.tiers.map((adapter, index) => new Tier(adapter, { publish, clock, shared, index })),
      shared,
      poller,
      latch: new KeyLatch(shared.stripes, poller),
      keeper: new LeaseKeeper(l1, { leaseMs: options.leaseMs, timers }),
    };
    this.tiers = ["l1", ...this.#context.tiers.map((tier) => tier.name)];
    const stores = new StoreController(this.#context, {
      limits: options.storeQueue,
      concurrency: options.storeConcurrency,
    });
    const loads = new LoadController(this.#context);
    this.#stores = stores;
    this.#loads = loads;
    this.#remover = new Remover(this.#context, stores);
    this.#listing = new L1Listing(this.#context);
    this.#writes = new WriteController(this.#context, {
      committer: new Committer(this.#context, stores),
      write: options.write,
      maxObjectBytes: options.maxObjectBytes,
      find: async (key) => (await loads.find(key))?.meta,
    });
  }

  get(key: ObjectKey, listener?: LookupListener): MaybePromise<ObjectRead | undefined> {
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
  ): MaybePromise<{ readonly meta: ObjectMeta; readonly tier: string } | undefined> {
    const meta = this.#context.l1.peek(key);
    return meta === undefined
      ? this.#decide(this.#loads.find(key, listener), key, listener)
      : this.#found(key, { meta, tier: "l1" });
  }

  explain(key: ObjectKey): Promise<Explanation> {
    return explain(this.#context, key);
  }

  reserve(request: PutRequest): MaybePromise<Upload> {
    return this.#writes.reserve(request);
  }

  async delete(key: ObjectKey, precondition?: Precondition): Promise<boolean> {
    this.#assertOpen();
    return await this.#remover.delete(key, precondition);
  }

  async clear(
    options: { readonly tenant: string | undefined; readonly tier: string | undefined },
  ): Promise<Readonly<Record<string, number>>> {
    this.#assertOpen();
    return await this.#remover.clear(options.tenant, options.tier);
  }

  list(
    query: {
      readonly tenant: string;
      readonly prefix: string;
      readonly limit: number;
      readonly after: string;
      readonly tier: string | undefined;
    },
  ): ReturnType<Storage["list"]> {
    const { tier, ...rest } = query;
    return listObjects(this.#context, { query: rest, tier, l1: this.#listing });
  }

  /** Why a tier cannot be used, or undefined if all can. */
  get trouble(): string | undefined {
    return this.#context.tiers.find((tier) => tier.trouble !== undefined)?.trouble;
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
      storeQueue: this.#stores.status(),
      loadsInFlight: this.#loads.inFlight,
      ghostsForgotten: this.#context.shared.ghosts.forgotten,
    };
  }

  /** What a tier answers, if it does so while others still wait for the status. */
  #soon<T>(answer: Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      const stop = this.#context.timers.every(USAGE_MS, () => {
        stop();
        reject(new VitrineError("tier_failed", `measure tier: no answer within ${USAGE_MS} ms`));
      });
      void answer.then(resolve, reject).finally(stop);
    });
  }

  /** Stores what a dead thread had acknowledged and not stored; call it after `releaseSeat`, in one living thread. Returns how many objects that are. */
  adopt(holder: number): number {
    return this.#stores.adopt(holder);
  }

  /** How many objects were stored in the background, and how many no tier took. */
  get storeTotals(): StoreController["totals"] {
    return this.#stores.totals;
  }

  drain(): Promise<void> {
    this.#draining ??= this.#drain();
    return this.#draining;
  }

  async #drain(): Promise<void> {
    await this.#writes.drain();
    await this.#stores.flush();
    await this.#stores.repair();
    await this.#loads.drain();
    const closing = await Promise.allSettled(this.#context.tiers.map((tier) => tier.close()));
    const failed = closing.find((outcome) => outcome.status === "rejected");
    if (failed !== undefined) throw failed.reason;
  }

  #assertOpen(): void {
    if (this.#draining !== undefined) {
      throw new VitrineError("shutting_down", "remove objects: the server is shutting down");
    }
  }

  /** Publishes what becomes of a lookup that has to wait: it, or `#found`, happens once for each get and head. */
  async #decide<T extends Place>(
    looking: Promise<T | undefined>,
    key: ObjectKey,
    listener: LookupListener | undefined,
  ): Promise<T | undefined> {
    let found: T | undefined;
    try {
      found = await looking;
    } catch (error) {
      this.#missed(key, "error", "tier_failed");
      throw error;
    }
    if (found !== undefined) return this.#found(key, found);
    const reason = missReason(this.#context, key);
    listener?.missed(reason);
    this.#missed(key, "miss", reason);
    return undefined;
  }

  #found<T extends Place>({ tenant, key, requestId }: ObjectKey, found: T): T {
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

/** What was found, and where. */
interface Place {
  readonly meta: ObjectMeta;
  readonly tier: string;
}

/** What a manager that is alone shares with nobody. */
function privateKeys(): SharedKeys {
  return new SharedKeys(allocateSharedKeys({ places: 1, hashSeed: 0 }, "private"), { place: 0, holder: 1 });
}
