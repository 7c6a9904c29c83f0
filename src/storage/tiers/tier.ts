import { causeText } from "../../core/errors.ts";
import type { ObjectKey } from "../../core/key.ts";
import type { ObjectMeta } from "../../core/object.ts";
import type { L2Adapter, StoreSource, WholeObject } from "../../l2/adapter.ts";
import { publishRate, TierReader, type TierReaderOptions } from "./tier_reader.ts";

/** What a Tier needs besides its adapter. */
export interface TierOptions extends TierReaderOptions {
  /** Throws shutting_down if this thread was declared dead although it still runs. */
  readonly assertAlive: () => void;
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

/** One tier as the thread that owns it uses it. */
export class Tier extends TierReader {
  readonly #adapter: L2Adapter;
  readonly #assertAlive: () => void;

  constructor(adapter: L2Adapter, options: TierOptions) {
    super(adapter, options);
    this.#adapter = adapter;
    this.#assertAlive = options.assertAlive;
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
   * Sees to it that the copy here, which another one has replaced elsewhere, is never read again: deletes it, or
   * remembers it as stale. Never throws.
   */
  async forget(key: ObjectKey): Promise<void> {
    await this.#delete(key).catch(() => this.stale.add(key));
  }

  /** Like `forget`, of a copy whose write has failed in the end: what it had replaced here is lost. */
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

  /** The keys of all that is here; undefined if others may store there. */
  keys(): AsyncIterable<readonly ObjectKey[]> | undefined {
    return this.#adapter.keys?.();
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
        const failure = this.failure("clear", error);
        reject(failure);
        throw failure;
      }
    };
    return { invisible, gone: clear() };
  }
}

/** Notes what becomes of the source of a store. */
export class StoreWatch {
  /** What the source threw, so that it is not taken for a broken tier. */
  broken: { readonly cause: unknown } | undefined;
  /** From here on the object may be visible. */
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
