import { causeText } from "../../core/errors.ts";
import type { ObjectKey } from "../../core/key.ts";
import type { ObjectMeta } from "../../core/object.ts";
import type { L2Adapter, StoreSource, WholeObject } from "../../l2/adapter.ts";
import { publishRate, TierReader, type TierReaderOptions } from "./tier_reader.ts";

/** Options of a Tier. */
export interface TierOptions extends TierReaderOptions {
  /** Throws shutting_down if this thread was declared dead although it still runs. */
  readonly assertAlive: () => void;
}

/** The result of a store in one tier. */
export interface StoreResult {
  readonly tier: Tier;
  /** undefined: stored. */
  readonly error: Error | undefined;
  /** True if the store failed in its last step, so that it is unknown what the tier holds now. */
  readonly isInDoubt: boolean;
}

/** A clear in progress. */
export interface TierClearing {
  /** Resolves as soon as no removed object is visible any more. Other calls may then go on. */
  readonly invisible: Promise<void>;
  /** Resolves with the number of objects once they are gone for good. */
  readonly gone: Promise<number>;
}

/** One tier, as the thread that owns it uses it. */
export class Tier extends TierReader {
  readonly #adapter: L2Adapter;
  readonly #assertAlive: () => void;

  constructor(adapter: L2Adapter, options: TierOptions) {
    super(adapter, options);
    this.#adapter = adapter;
    this.#assertAlive = options.assertAlive;
  }

  /**
   * Stores or replaces; never rejects. The error is what the source threw, otherwise tier_failed or no_room. The tier
   * then holds what it held before, unless that is in doubt. The copy must not be read before `settle`.
   */
  async store(key: ObjectKey, source: StoreSource): Promise<StoreResult> {
    const watch = new StoreWatch(this.#assertAlive);
    const store = () => this.#adapter.store(key, watch.source(source));
    return await this.#measureStore(key, { bytes: source.sizeBytes ?? 0, watch, store });
  }

  /** Like `store`, for an object that is in memory as a whole; in fewer steps if the tier supports that. */
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

  /** Updates the stale mark of the copy after a store. A copy in doubt must not be read. */
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
    const startMs = this.clock.monotonicMs();
    const label = this.label(key);
    this.publish("l2.store.submitted", { ...label, bytes });
    try {
      const meta = await store();
      const seconds = this.since(startMs);
      this.publish("l2.store.completed", { ...label, outcome: "ok", bytes: meta.sizeBytes, seconds });
      publishRate(this.publish, { tier: this.name, direction: "store", bytes: meta.sizeBytes, seconds });
      return { tier: this, error: undefined, isInDoubt: false };
    } catch (error) {
      const outcome = watch.broken === undefined ? "failed" : "aborted";
      this.publish("l2.store.completed", {
        ...label,
        outcome,
        bytes: 0,
        seconds: this.since(startMs),
        ...(outcome === "failed" ? { error: causeText(error) } : {}),
      });
      const cause = watch.broken === undefined ? error : watch.broken.cause;
      const isOwn = watch.broken !== undefined && cause instanceof Error;
      return { tier: this, error: isOwn ? cause : this.failure("store", cause), isInDoubt: watch.isCommitting };
    }
  }

  /** Deletes for good; true if there was a current copy. Throws tier_failed. */
  async delete(key: ObjectKey): Promise<boolean> {
    const deleted = await this.#delete(key);
    if (deleted) this.lost(key, "deleted");
    return deleted;
  }

  /**
   * Ensures that the copy here, which was replaced elsewhere, is never read again: deletes it, or marks it as stale.
   * Never throws.
   */
  async forget(key: ObjectKey): Promise<void> {
    await this.#delete(key).catch(() => this.stale.add(key));
  }

  /** Like `forget`, for the copy of a write that failed in the end: what it replaced here is lost. */
  async withdraw(key: ObjectKey): Promise<void> {
    await this.forget(key);
    this.lost(key, "write_failed");
  }

  async #delete(key: ObjectKey): Promise<boolean> {
    const label = this.label(key);
    this.#assertAlive();
    const startMs = this.clock.monotonicMs();
    try {
      const deleted = await this.#adapter.delete(key);
      const outcome = deleted ? "deleted" : "miss";
      this.publish("l2.delete.completed", { ...label, outcome, seconds: this.since(startMs) });
      return !this.stale.remove(key) && deleted;
    } catch (error) {
      this.publish("l2.delete.completed", {
        ...label,
        outcome: "error",
        seconds: this.since(startMs),
        error: causeText(error),
      });
      throw this.failure("delete", error);
    }
  }

  /** Objects up to this size are committed in groups. */
  get groupLimitBytes(): number {
    return this.#adapter.groupLimitBytes ?? 0;
  }

  /** The keys of all objects here; undefined if others may store here. */
  keys(): AsyncIterable<readonly ObjectKey[]> | undefined {
    return this.#adapter.keys?.();
  }

  /** Removes every object, or one tenant's. Call it while no key changes. Throws tier_failed, through both promises. */
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
        const failure = this.failure("clear", error);
        reject(failure);
        throw failure;
      }
    };
    return { invisible, gone: clear() };
  }
}

/** Tracks the source of a store. */
export class StoreWatch {
  /** The source's error, so that it is not mistaken for a broken tier. */
  broken: { readonly cause: unknown } | undefined;
  /** True once the object may be visible. */
  isCommitting = false;
  readonly #beforeCommit: () => void;

  /** `beforeCommit` throws if this thread may not store any more. */
  constructor(beforeCommit: () => void) {
    this.#beforeCommit = beforeCommit;
  }

  object(object: WholeObject): WholeObject {
    const { meta, extents, durable } = object;
    return { meta, extents, durable, assertWanted: () => this.#commit(() => object.assertWanted()) };
  }

  source(source: StoreSource): StoreSource {
    return {
      ...source,
      chunks: this.#chunks(source),
      meta: () => this.#noting(() => source.meta()),
      assertWanted: () => this.#commit(() => source.assertWanted?.()),
    };
  }

  async *#chunks(source: StoreSource): AsyncGenerator<Uint8Array, void, void> {
    try {
      yield* source.chunks;
    } catch (cause) {
      this.broken ??= { cause };
      throw cause;
    }
  }

  #commit(assertWanted: () => void): void {
    this.#noting(assertWanted);
    this.isCommitting = true;
  }

  #noting<T>(call: () => T): T {
    try {
      this.#beforeCommit();
      return call();
    } catch (cause) {
      this.broken ??= { cause };
      throw cause;
    }
  }
}
