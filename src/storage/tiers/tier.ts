import { causeText, VitrineError } from "../../core/errors.ts";
import type { Clock } from "../../core/clock.ts";
import type { ObjectKey } from "../../core/key.ts";
import type { LossReason, Publish } from "../../core/events.ts";
import { isExpired, type ObjectMeta } from "../../core/object.ts";
import type { EventMap } from "../../events/catalogue.ts";
import type { L2Adapter, L2Load, ListPage, ListQuery, StoreSource, TierUsage, WholeObject } from "../../l2/adapter.ts";
import type { SharedKeys } from "../shared/shared_keys.ts";
import type { LookupListener } from "../types.ts";
import { discardLoad } from "./discard_load.ts";
import { StaleKeys } from "./stale_keys.ts";
import { publishRate } from "./publish_rate.ts";
import { StoreWatch } from "./store_watch.ts";

/** What a Tier needs besides its adapter. */
export interface TierOptions {
  readonly publish: Publish<EventMap>;
  readonly clock: Clock;
  readonly shared: SharedKeys;
  /** Throws shutting_down if this thread was declared dead although it still runs. */
  readonly assertAlive: () => void;
  /** Its place in the order of tiers, the same in all threads. */
  readonly index: number;
}

/** How a store in one tier ended. */
export interface StoreResult {
  readonly tier: Tier;
  /** undefined: stored. */
  readonly error: Error | undefined;
  /** Of one that failed: it did so in its last step, so that nobody knows what the tier holds now. */
  readonly isInDoubt: boolean;
}

/** A clear that goes on. */
export interface TierClearing {
  /** Resolves as soon as nothing that was there is visible any more: other calls may go on. */
  readonly invisible: Promise<void>;
  /** Resolves with the number of objects once they are gone for good. */
  readonly gone: Promise<number>;
}

/**
 * One L2 adapter as storage uses it: calls are measured and published, outdated copies are never read, every failure is
 * a VitrineError.
 */
export class Tier {
  readonly name: string;
  readonly #adapter: L2Adapter;
  readonly #publish: Publish<EventMap>;
  readonly #clock: Clock;
  readonly #shared: SharedKeys;
  readonly #assertAlive: () => void;
  /** The keys whose copy here is known to be outdated; the owner of the tiers alone changes them. */
  readonly stale: StaleKeys;
  /** Its place in the order of tiers. */
  readonly index: number;

  constructor(adapter: L2Adapter, options: TierOptions) {
    this.name = adapter.name;
    this.#adapter = adapter;
    this.#publish = options.publish;
    this.#clock = options.clock;
    this.#shared = options.shared;
    this.#assertAlive = options.assertAlive;
    this.index = options.index;
    this.stale = new StaleKeys(options.shared.stale, options.index);
  }

  /** Metadata of a current, unexpired copy. Throws tier_failed. */
  lookup(key: ObjectKey, listener?: LookupListener): Promise<ObjectMeta | undefined> {
    return this.#ask(key, listener, async () => {
      const meta = await this.#adapter.lookup(key);
      return meta === undefined || this.#isOver(key, meta) ? undefined : meta;
    });
  }

  /**
   * Opens a load of the whole object; counts as a lookup, as a load only once it is read (loadChunks). Throws
   * tier_failed.
   */
  open(key: ObjectKey, listener?: LookupListener): Promise<L2Load | undefined> {
    return this.#ask(key, listener, async () => {
      const load = await this.#adapter.load(key);
      if (load === undefined || !this.#isOver(key, load.meta)) return load;
      await discardLoad(load);
      return undefined;
    });
  }

  /**
   * Opens a load of the bytes [start, end) of an object that a lookup has found; counts as a load once it is read
   * (loadChunks), or if it fails. Throws tier_failed.
   */
  async openRange(
    key: ObjectKey,
    range: { readonly start: number; readonly end: number },
  ): Promise<L2Load | undefined> {
    const startMs = this.#clock.monotonicMs();
    try {
      return this.#readable(key) ? await this.#adapter.load(key, range) : undefined;
    } catch (error) {
      const label = this.#label(key);
      const requestedBytes = range.end - range.start;
      this.#publish("l2.load.submitted", { ...label, bytes: requestedBytes });
      this.#publish("l2.load.completed", {
        ...label,
        outcome: "failed",
        bytes: 0,
        requestedBytes,
        seconds: this.#since(startMs),
        error: causeText(error),
      });
      throw this.#failure("load", error);
    }
  }

  /**
   * Stores or replaces; never rejects. What the source threw is the error, else tier_failed or no_room; then the tier
   * holds what it held, unless that is in doubt. Nobody may read here before `settle`.
   */
  async store(key: ObjectKey, source: StoreSource): Promise<StoreResult> {
    const watch = new StoreWatch(this.#assertAlive);
    const store = () => this.#adapter.store(key, watch.source(source));
    return await this.#measureStore(key, { bytes: source.sizeBytes ?? 0, watch, store });
  }

  /** The same for an object that lies whole in memory; in fewer steps where the tier can. */
  async storeObject(key: ObjectKey, object: WholeObject, source: () => StoreSource): Promise<StoreResult> {
    const { sizeBytes } = object.meta;
    if (this.#adapter.storeWhole === undefined || sizeBytes > this.groupLimitBytes) {
      return await this.store(key, source());
    }
    const watch = new StoreWatch(this.#assertAlive);
    const store = async () => {
      await this.#adapter.storeWhole?.(key, watch.object(object));
      return object.meta;
    };
    return await this.#measureStore(key, { bytes: sizeBytes, watch, store });
  }

  /** For the owner: what a store has made of the copy here, be it that none may be read. */
  settle(key: ObjectKey, { error, isInDoubt }: StoreResult): void {
    if (error === undefined) this.stale.remove(key);
    else if (isInDoubt) this.stale.add(key);
  }

  async #measureStore(
    key: ObjectKey,
    { bytes, watch, store }: {
      readonly bytes: number;
      readonly watch: StoreWatch;
      readonly store: () => Promise<ObjectMeta>;
    },
  ): Promise<StoreResult> {
    const startMs = this.#clock.monotonicMs();
    const label = this.#label(key);
    this.#publish("l2.store.submitted", { ...label, bytes });
    try {
      const meta = await store();
      const seconds = this.#since(startMs);
      this.#publish("l2.store.completed", { ...label, outcome: "ok", bytes: meta.sizeBytes, seconds });
      publishRate(this.#publish, { tier: this.name, direction: "store", bytes: meta.sizeBytes, seconds });
      return { tier: this, error: undefined, isInDoubt: false };
    } catch (error) {
      const outcome = watch.broken === undefined ? "failed" : "aborted";
      this.#publish("l2.store.completed", {
        ...label,
        outcome,
        bytes: 0,
        seconds: this.#since(startMs),
        ...(outcome === "failed" ? { error: causeText(error) } : {}),
      });
      const cause = watch.broken === undefined ? error : watch.broken.cause;
      const isOwn = watch.broken !== undefined && cause instanceof Error;
      return { tier: this, error: isOwn ? cause : this.#failure("store", cause), isInDoubt: watch.isCommitting };
    }
  }

  /** Deletes for good; true if there was a current copy. Throws tier_failed. */
  async delete(key: ObjectKey): Promise<boolean> {
    const deleted = await this.#delete(key);
    if (deleted) this.#lost(key, "deleted");
    return deleted;
  }

  /**
   * Sees to it that the copy here, which another one has replaced elsewhere, is never read again: deletes it, or
   * remembers it as stale. Never throws.
   */
  async forget(key: ObjectKey): Promise<void> {
    await this.#delete(key).catch(() => this.stale.add(key));
  }

  /** Like `forget`, of a copy whose write has failed in the end: what it had replaced here is lost. */
  async withdraw(key: ObjectKey): Promise<void> {
    await this.forget(key);
    this.#lost(key, "write_failed");
  }

  async #delete(key: ObjectKey): Promise<boolean> {
    const label = this.#label(key);
    this.#assertAlive();
    const startMs = this.#clock.monotonicMs();
    try {
      const deleted = await this.#adapter.delete(key);
      const outcome = deleted ? "deleted" : "miss";
      this.#publish("l2.delete.completed", { ...label, outcome, seconds: this.#since(startMs) });
      return !this.stale.remove(key) && deleted;
    } catch (error) {
      this.#publish("l2.delete.completed", {
        ...label,
        outcome: "error",
        seconds: this.#since(startMs),
        error: causeText(error),
      });
      throw this.#failure("delete", error);
    }
  }

  /** Objects up to this size are committed in groups. */
  get groupLimitBytes(): number {
    return this.#adapter.groupLimitBytes ?? 0;
  }

  /** The keys of all that is here; undefined if others may store there. */
  keys(): AsyncIterable<readonly ObjectKey[]> | undefined {
    return this.#adapter.keys?.();
  }

  /** Why the tier cannot be used for now, or undefined. */
  get trouble(): string | undefined {
    return this.#adapter.trouble;
  }

  /** Removes every object, or one tenant's. To be called while no key changes. Throws tier_failed, by both promises. */
  clear(tenant: string | undefined): TierClearing {
    const { promise: invisible, resolve, reject } = Promise.withResolvers<void>();
    const onInvisible = (): void => {
      this.stale.clear(tenant);
      resolve();
    };
    const clear = async (): Promise<number> => {
      try {
        this.#assertAlive();
        let isVisible = true;
        const count = await this.#adapter.clear(tenant, () => {
          isVisible = false;
          onInvisible();
        });
        if (isVisible) onInvisible();
        return count;
      } catch (error) {
        const failure = this.#failure("clear", error);
        reject(failure);
        throw failure;
      }
    };
    return { invisible, gone: clear() };
  }

  /** A page of what is here, outdated copies included. Throws tier_failed. */
  async list(query: ListQuery): Promise<ListPage> {
    try {
      return await this.#adapter.list(query);
    } catch (error) {
      throw this.#failure("list", error);
    }
  }

  usage(): Promise<TierUsage> {
    return this.#adapter.usage();
  }

  close(): Promise<void> {
    return this.#adapter.close();
  }

  /** False if the copy of this key must not be read. Throws tier_failed if nothing here may be read. */
  #readable(key: ObjectKey): boolean {
    if (this.stale.distrusted) {
      throw new VitrineError(
        "tier_failed",
        `read tier: too many outdated copies could not be deleted in ${this.name}`,
        {
          details: { tier: this.name },
        },
      );
    }
    return !this.stale.has(key);
  }

  async #ask<T>(
    key: ObjectKey,
    listener: LookupListener | undefined,
    call: () => Promise<T | undefined>,
  ): Promise<T | undefined> {
    if (!this.#readable(key)) return undefined;
    const startMs = this.#clock.monotonicMs();
    const told = (
      outcome: EventMap["l2.lookup.completed"]["outcome"],
      failure: { readonly error?: string } = {},
    ): void => {
      const seconds = this.#since(startMs);
      const label = this.#label(key);
      this.#publish("l2.lookup.completed", { ...label, ...failure, outcome, seconds });
      listener?.asked(this.name, { startMs, seconds });
    };
    try {
      const answer = await call();
      told(answer === undefined ? "miss" : "hit");
      return answer;
    } catch (error) {
      told("error", { error: causeText(error) });
      throw this.#failure("lookup", error);
    }
  }

  /** Whether the time of an object is up that the adapter still gives. */
  #isOver(key: ObjectKey, meta: ObjectMeta): boolean {
    const isOver = isExpired(meta, this.#clock.nowMs());
    if (isOver) this.#lost(key, "expired");
    return isOver;
  }

  #lost(key: ObjectKey, reason: LossReason): void {
    this.#shared.ghosts.lost(key, { tier: this.index + 1, reason, atMs: this.#clock.monotonicMs() });
  }

  #label({ tenant, requestId }: ObjectKey) {
    return { tier: this.name, tenant, keys: 1, requestId };
  }

  #since(startMs: number): number {
    return (this.#clock.monotonicMs() - startMs) / 1000;
  }

  #failure(action: string, error: unknown): VitrineError {
    if (error instanceof VitrineError && (error.code === "tier_failed" || error.code === "no_room")) return error;
    return new VitrineError("tier_failed", `${action} in tier: ${this.name}`, {
      cause: error,
      details: { tier: this.name },
    });
  }
}
