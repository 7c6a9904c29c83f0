import type { MissReason } from "../core/events.ts";
import type { ObjectKey, ObjectMeta, Precondition } from "../core/object.ts";
import type { EventMap } from "../events/catalogue.ts";

/** The reason for which an object left a tier. */
export type TierRemovalReason = EventMap["l2.removed"]["reason"];

/** Called for every object that leaves a tier, whatever the cause, in addition to l2.removed; must not throw. */
export type TierRemovalListener = (key: ObjectKey, reason: TierRemovalReason) => void;

/** The object that a store replaces. */
export interface Replaced {
  /** Undefined: there is none. */
  readonly meta: ObjectMeta | undefined;
}

/** The source of a store: the bytes and their metadata. */
export interface StoreSource {
  /** The bytes, in order. A chunk may be in shared memory and is valid only until the next one is requested. */
  readonly chunks: AsyncIterable<Uint8Array>;
  /** The size, if it is known before the last chunk. */
  readonly sizeBytes?: number;
  /** The metadata, if all bytes are in memory already, so that room for them can be reserved at once. */
  readonly atHand?: ObjectMeta;
  /**
   * False if the caller does not wait for durability, so that the tier may sync later. Default: true, the store
   * resolves once the object is as durable as the tier can make it.
   */
  readonly durable?: boolean;
  /** The metadata that is known before the bytes, if not all is at hand. */
  readonly early?: Pick<ObjectMeta, "contentType" | "sha256" | "headers"> | undefined;
  /**
   * The condition that the object that is replaced must meet, for a tier that can check it itself in the step that
   * makes the object visible. Called after `meta`. Default: none, or the tier cannot know it.
   */
  readonly precondition?: (() => Precondition | undefined) | undefined;
  /**
   * Called once, after the last chunk and before anything becomes visible. If it throws (digest mismatch, client gone),
   * the store fails and leaves the tier as it was.
   */
  meta(): ObjectMeta;
  /**
   * Called synchronously in the step that makes the object visible. If it throws (nothing waits for this store any
   * more), the store fails and leaves the tier as it was. A tier that commits remotely cannot make this one step; its
   * commit must reject a change that is older than what the tier has or had. A tier that can make its commit depend on
   * what it replaces says what that is, and asks again if another server was faster.
   */
  assertWanted?(replaced?: Replaced): void;
  /**
   * Awaited once, before `assertWanted`, when the object needs only the step that makes it visible: a thread that has
   * to ask another one asks now. It throws like `assertWanted`. Default: there is nothing to wait for.
   */
  readonly whenWanted?: (() => Promise<void>) | undefined;
}

/** A small object that is completely in memory. */
export interface WholeObject {
  readonly meta: ObjectMeta;
  /** The object's bytes, in order. */
  readonly extents: readonly Uint8Array[];
  /** As in StoreSource. */
  readonly durable: boolean;
  /** As in StoreSource; also throws if the memory may have been reused meanwhile. */
  assertWanted(): void;
}

/**
 * A change that another server has made in a shared tier: of one key, of all keys of a tenant, or of any number of
 * keys.
 */
export type ForeignChange =
  | { readonly kind: "key"; readonly key: ObjectKey }
  | { readonly kind: "tenant"; readonly tenant: string }
  | { readonly kind: "any" };

/** A running load. */
export interface L2Load {
  readonly meta: ObjectMeta;
  /**
   * The requested bytes, in order, in private memory. Every chunk is verified against the stored checksums before it is
   * returned. It stays valid until the one after the next is requested, because its memory may be reused. Throws
   * VitrineError("tier_failed") if the tier fails or the object turns out to be damaged half-way; ends normally only if
   * all bytes were right. Ending the iteration early (return) frees what the load holds. Iterate or return every load;
   * never drop one.
   */
  readonly chunks: AsyncIterable<Uint8Array>;
}

/** A query for a tenant's objects by key prefix, in the byte order of their keys. */
export interface ListQuery {
  readonly tenant: string;
  readonly prefix: string;
  /** Maximum number of entries, 1-1000. */
  readonly limit: number;
  /** List keys strictly after this one; "" starts at the beginning. */
  readonly after: string;
}

/** One page of a listing. */
export interface ListPage {
  readonly entries: readonly { readonly key: string; readonly meta: ObjectMeta }[];
  /** True if there are more entries after the last one. */
  readonly more: boolean;
}

/** The usage of a tier. */
export interface TierUsage {
  readonly objects: number;
  /** Bytes of the stored objects, including the tier's own overhead (header, footer). */
  readonly usedBytes: number;
  /** 0: Vitrine sets no limit. */
  readonly limitBytes: number;
  /**
   * Age (now minus createdMs) of the oldest object that takes up room, including expired ones; 0 if there is none.
   * Missing if the tier cannot determine it cheaply.
   */
  readonly oldestAgeSeconds?: number;
  /**
   * Unfinished writes of an earlier run that were removed when the tier was opened. Missing if the tier cannot have
   * any.
   */
  readonly leftoversRemoved?: number;
}

/** The largest number of keys in one call of `has`. */
export const MANY_KEYS = 1000;

/**
 * The part of an L2 that every thread uses: reading. The contract, including failures:
 * - A miss is `undefined` (or false). A tier that cannot answer throws VitrineError("tier_failed") with the cause. A
 *   failure is never reported as a miss.
 * - Readers see whole objects only.
 * - A damaged object is a miss: it is removed, published as l2.removed with reason "corrupt", and its bytes are never
 *   returned.
 */
export interface L2Reader {
  /** The tier's name in metrics and responses, e.g. "fs". */
  readonly name: string;
  /** True if other servers may store in the tier, too (default: false). */
  readonly isShared?: boolean | undefined;
  /** True if a lookup that the tier cannot answer is a miss for clients, and not an error (default: false). */
  readonly missesOnError?: boolean | undefined;
  /**
   * False if nothing is stored here, only read and removed (default: true). The tier itself does not check it; its
   * owner does not call `store`.
   */
  readonly takesStores?: boolean | undefined;
  /**
   * Milliseconds for which a copy of an object may be used elsewhere without another look here, because other servers
   * change objects here and nobody tells. Default: without limit.
   */
  readonly maxAgeMs?: number | undefined;
  /** Returns the metadata of a stored, unexpired object. */
  lookup(key: ObjectKey): Promise<ObjectMeta | undefined>;
  /**
   * For each of at most MANY_KEYS keys of one tenant: true if `lookup` would find an object now. One call of the tier,
   * which answers for all keys or fails: in one round trip where the tier has such a request. A tier that needs more
   * calls `onProgress` with each.
   */
  has(keys: readonly ObjectKey[], onProgress?: () => void): Promise<readonly boolean[]>;
  /**
   * Loads the bytes from `start` (default 0) to `end` (exclusive, default the size), or as many of them as there are,
   * because a smaller object may have replaced the one whose size the caller knows.
   */
  load(key: ObjectKey, range?: { readonly start: number; readonly end: number }): Promise<L2Load | undefined>;
  list(query: ListQuery): Promise<ListPage>;
  /** Undefined: the tier cannot know it. */
  usage(): Promise<TierUsage | undefined>;
  /** The reason why the tier is unusable; undefined while it is usable. A tier that is always usable omits it. */
  readonly trouble?: string | undefined;
  /**
   * The reason that the tier itself gave when it last missed this key. Undefined: it gave none, or it is not
   * remembered. Missing if it never gives one.
   */
  readonly missReason?: ((key: ObjectKey) => MissReason | undefined) | undefined;
  /** The ids of other servers that the tier leads to, directly or through their tiers. Default: none. */
  readonly serversBehind?: readonly string[] | undefined;
  /**
   * Waits for running calls and frees everything. Further calls throw, and so does the next chunk of a load that is
   * still being read.
   */
  close(): Promise<void>;
}

/**
 * An L2 tier, for the thread that owns the tiers and makes all changes. The contract, in addition to that of L2Reader:
 * - A store becomes visible all at once or not at all. A failed store leaves the previous object in place.
 * - Once `store` has resolved, the object survives kill -9 (and, where the tier can, power loss).
 * - Every object that leaves is published as l2.removed, and the tier's removal listener is called with its key.
 * - Calls for different keys run concurrently; the caller orders the calls for one key.
 * - A call may time out (timeout.ts): a late deletion must affect only what was there when it was requested.
 */
export interface L2Adapter extends L2Reader {
  /**
   * Stores or replaces an object and returns the stored metadata. Throws VitrineError("no_room") if the object does not
   * fit under the limit even after eviction.
   */
  store(key: ObjectKey, source: StoreSource): Promise<ObjectMeta>;
  /** Like `store`, in fewer steps, for an object of up to `groupLimitBytes`. */
  readonly storeWhole?: ((key: ObjectKey, object: WholeObject) => Promise<void>) | undefined;
  /** Returns true if the object existed. */
  delete(key: ObjectKey): Promise<boolean>;
  /**
   * Removes every object, or one tenant's, and returns their number once they are permanently gone. This may take long.
   * `onInvisible` is called as soon as none of them is visible. From then on other calls run concurrently with the
   * removal, which affects nothing that is stored later.
   */
  clear(tenant?: string, onInvisible?: () => void): Promise<number>;
  /** Objects up to this size are committed in groups, so concurrent stores are cheap. Default: 0. */
  readonly groupLimitBytes?: number;
  /**
   * Lists the keys of all objects, in no particular order. It may include keys without an object, and may miss keys
   * that are stored meanwhile. Missing if other servers can store in this tier.
   */
  readonly keys?: (() => AsyncIterable<readonly ObjectKey[]>) | undefined;
  /**
   * Reports the changes that other servers make from now on, until the returned function is called; "any" if some may
   * have been missed. Missing if there are no other servers, or if their changes cannot be noticed.
   */
  readonly followChanges?: ((onChange: (change: ForeignChange) => void) => () => void) | undefined;
  /** Like `load`, but not counted as a use of the object. Missing where `keys` is. */
  readonly peek?: ((key: ObjectKey) => Promise<L2Load | undefined>) | undefined;
}
