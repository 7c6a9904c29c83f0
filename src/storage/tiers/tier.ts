import { causeText } from "../../core/errors.ts";
import type { ObjectKey, ObjectMeta } from "../../core/object.ts";
import type { L1 } from "../../l1/l1.ts";
import type { ForeignChange, L2Adapter, Replaced, StoreSource, WholeObject } from "../../l2/adapter.ts";
import { publishRate, TierReader, type TierReaderOptions } from "./tier_reader.ts";

/** Options of a Tier. */
export interface TierOptions extends TierReaderOptions {
  /** Says whether this thread was declared dead although it still runs. */
  readonly l1: Pick<L1, "assertAlive">;
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
  readonly #l1: Pick<L1, "assertAlive">;

  constructor(adapter: L2Adapter, options: TierOptions) {
    super(adapter, options);
    this.#adapter = adapter;
    this.#l1 = options.l1;
  }

  /**
   * Stores or replaces; never rejects. The error is what the source threw, otherwise tier_failed or no_room. The tier
   * then holds what it held before, unless that is in doubt. The copy must not be read before `settle`.
   */
  async store(key: ObjectKey, source: StoreSource): Promise<StoreResult> {
    const tracker = new StoreTracker(this.#l1);
    // A copy that must not be read counts as none.
    const known = (replaced?: Replaced) => this.stale.distrusted || this.stale.has(key) ? undefined : replaced;
    const store = () => this.#adapter.store(key, tracker.source(source, known));
    return await this.#measureStore(key, { bytes: source.sizeBytes ?? 0, tracker, store });
  }

  /** Like `store`, for an object that is in memory as a whole; in fewer steps if the tier supports that. */
  async storeObject(key: ObjectKey, object: WholeObject, source: () => StoreSource): Promise<StoreResult> {
    const { sizeBytes } = object.meta;
    if (this.#adapter.storeWhole === undefined || sizeBytes > this.groupLimitBytes) {
      return await this.store(key, source());
    }
    const tracker = new StoreTracker(this.#l1);
    const store = async () => {
      await this.#adapter.storeWhole?.(key, tracker.object(object));
      return object.meta;
    };
    return await this.#measureStore(key, { bytes: sizeBytes, tracker, store });
  }

  /** Updates the stale mark of the copy after a store. A copy in doubt must not be read. */
  settle(key: ObjectKey, { error, isInDoubt }: StoreResult): void {
    if (error === undefined) this.stale.remove(key);
    else if (isInDoubt) this.stale.add(key);
  }

  async #measureStore(
    key: ObjectKey,
    { bytes, tracker, store }: {
      readonly bytes: number;
      readonly tracker: StoreTracker;
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
      const outcome = tracker.broken === undefined ? "failed" : "aborted";
      this.publish("l2.store.completed", {
        ...label,
        outcome,
        bytes: 0,
        seconds: this.since(startMs),
        ...(outcome === "failed" ? { error: causeText(error) } : {}),
      });
      const cause = tracker.broken === undefined ? error : tracker.broken.cause;
      const isOwn = tracker.broken !== undefined && cause instanceof Error;
      return { tier: this, error: isOwn ? cause : this.failure("store", cause), isInDoubt: tracker.isCommitting };
    }
  }

  /** Deletes for good; true if there was a current copy. Throws tier_failed. */
  async delete(key: ObjectKey): Promise<boolean> {
    const deleted = await this.#delete(key);
    if (deleted) this.lost(key, "deleted");
    return deleted;
  }

  /** Removes the copy here, before another tier gets a newer one. Throws tier_failed. */
  async outdate(key: ObjectKey): Promise<void> {
    await this.#delete(key);
  }

  /**
   * Ensures that the copy here, which was replaced elsewhere, is never read again: deletes it, or marks it as stale.
   * A tier that cannot be used is not asked, so that others need not wait for it. When half of the marks are taken it
   * is asked all the same: its time-outs then slow writers down before a mark is missing. Never throws.
   */
  async forget(key: ObjectKey): Promise<void> {
    if (this.trouble !== undefined && this.stale.hasRoom) this.stale.add(key);
    else await this.#delete(key).catch(() => this.stale.add(key));
  }

  /** Like `forget`, for the copy of a write that failed in the end: what it replaced here is lost. */
  async withdraw(key: ObjectKey): Promise<void> {
    await this.forget(key);
    this.lost(key, "write_failed");
  }

  async #delete(key: ObjectKey): Promise<boolean> {
    const label = this.label(key);
    this.#l1.assertAlive();
    const startMs = this.clock.monotonicMs();
    try {
      // A server that stores nothing here may have no right to delete, either. It needs none if there is nothing.
      const isThere = this.takesStores || await this.#adapter.lookup(key) !== undefined;
      const deleted = isThere && await this.#adapter.delete(key);
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

  /** Like the adapter's; undefined if other servers make no changes, or none that are noticed. */
  followChanges(onChange: (change: ForeignChange) => void): (() => void) | undefined {
    return this.#adapter.followChanges?.(onChange);
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
        this.#l1.assertAlive();
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
class StoreTracker {
  /** The source's error, so that it is not mistaken for a broken tier. */
  broken: { readonly cause: unknown } | undefined;
  /** True once the object may be visible. */
  isCommitting = false;
  readonly #l1: TierOptions["l1"];

  constructor(l1: TierOptions["l1"]) {
    this.#l1 = l1;
  }

  object(object: WholeObject): WholeObject {
    const { meta, extents, durable } = object;
    return { meta, extents, durable, assertWanted: () => this.#commit(() => object.assertWanted()) };
  }

  source(source: StoreSource, known: (replaced?: Replaced) => Replaced | undefined): StoreSource {
    return {
      ...source,
      chunks: this.#chunks(source),
      meta: () => this.#noting(() => source.meta()),
      assertWanted: (replaced) => this.#commit(() => source.assertWanted?.(known(replaced))),
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
    // The tier asks again only if its first attempt had no effect.
    this.isCommitting = false;
    this.#noting(assertWanted);
    this.isCommitting = true;
  }

  #noting<T>(call: () => T): T {
    try {
      this.#l1.assertAlive();
      return call();
    } catch (cause) {
      this.broken ??= { cause };
      throw cause;
    }
  }
}
