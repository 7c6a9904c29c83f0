import type { ObjectKey } from "../core/key.ts";
import type { ObjectMeta } from "../core/object.ts";
import type { EventMap } from "../events/catalogue.ts";

/** Why an object left a tier. */
export type TierRemovalReason = EventMap["l2.removed"]["reason"];

/** Told of every object that leaves a tier, whoever asked for it, together with l2.removed; must not throw. */
export type TierRemovalListener = (key: ObjectKey, reason: TierRemovalReason) => void;

/** What a store reads from. */
export interface StoreSource {
  /** The bytes, in order. A chunk may lie over shared memory and is valid only until the next one is asked for. */
  readonly chunks: AsyncIterable<Uint8Array>;
  /** The size if it is known before the last chunk. */
  readonly sizeBytes?: number;
  /** The metadata, where all bytes lie in memory already, so that room for them can be held at once. */
  readonly atHand?: ObjectMeta;
  /**
   * Whether somebody waits until the object survives whatever the tier can survive (default); if not, the tier may take
   * its time.
   */
  readonly durable?: boolean;
  /**
   * Asked once, after the last chunk and before anything becomes visible; a throw (digest mismatch, client gone) aborts
   * the store and leaves the tier as it was.
   */
  meta(): ObjectMeta;
  /**
   * Asked in the very step in which the object becomes visible, with nothing awaited in between; a throw (nobody waits
   * for this store any more) aborts it and leaves the tier as it was. A tier that commits elsewhere, where this cannot
   * be one step, must refuse there what is older than what it holds or held.
   */
  assertWanted?(): void;
}

/** A small object that lies whole in memory. */
export interface WholeObject {
  readonly meta: ObjectMeta;
  /** Its bytes, in order. */
  readonly extents: readonly Uint8Array[];
  /** As in StoreSource. */
  readonly durable: boolean;
  /** As in StoreSource; throws also if the memory was not the object's all the time. */
  assertWanted(): void;
}

/** A running load. */
export interface L2Load {
  readonly meta: ObjectMeta;
  /**
   * The bytes asked for, in order, in private memory. Every chunk has been verified against the stored checksums before
   * it is handed out, and stays valid until the next but one is asked for: its memory may be used again. Throws
   * VitrineError("tier_failed") when the tier fails or the object turns out to be damaged half-way; ends only if all
   * bytes were right. Abandoning the iteration (return) frees what the load holds; a load is to be iterated or
   * returned, never just dropped.
   */
  readonly chunks: AsyncIterable<Uint8Array>;
}

/** Which objects to list: one tenant's, by key prefix, in the byte order of their keys. */
export interface ListQuery {
  readonly tenant: string;
  readonly prefix: string;
  /** At most this many entries, 1-1000. */
  readonly limit: number;
  /** List strictly after this key; "" from the start. */
  readonly after: string;
}

/** One page of a listing. */
export interface ListPage {
  readonly entries: readonly { readonly key: string; readonly meta: ObjectMeta }[];
  /** True if there are more entries after the last one. */
  readonly more: boolean;
}

/** How full a tier is. */
export interface TierUsage {
  readonly objects: number;
  /** Bytes the tier accounts to stored objects, its own overhead (header, footer) included. */
  readonly usedBytes: number;
  /** 0 = no limit of ours. */
  readonly limitBytes: number;
  /**
   * Age (now minus createdMs) of the oldest object that takes up room, expired ones included; 0 if there is none.
   * Missing if the tier cannot tell cheaply.
   */
  readonly oldestAgeSeconds?: number;
  /** Unfinished writes of an earlier run that were removed when the tier was opened, where a tier can have such. */
  readonly leftoversRemoved?: number;
}

/**
 * The part of an L2 that every thread uses: reading. The promise, failure included:
 * - A miss is `undefined` (or false); a tier that cannot answer throws VitrineError("tier_failed") with the cause. A
 *   failure is never reported as a miss.
 * - Readers see whole objects only.
 * - A damaged object is a miss: it is removed, published as l2.removed with reason "corrupt", and its bytes are never
 *   handed out.
 */
export interface L2Reader {
  /** The tier's name in numbers and answers, e.g. "fs". */
  readonly name: string;
  /** Metadata of a stored, unexpired object. */
  lookup(key: ObjectKey): Promise<ObjectMeta | undefined>;
  /** The bytes from `start` (default 0) to `end` (exclusive, default the size; both inside the object). */
  load(key: ObjectKey, range?: { readonly start: number; readonly end: number }): Promise<L2Load | undefined>;
  list(query: ListQuery): Promise<ListPage>;
  usage(): Promise<TierUsage>;
  /** Why the tier cannot be used for now, in words; undefined if it can. A tier that is never in trouble has none. */
  readonly trouble?: string | undefined;
  /**
   * Waits for running calls and frees everything; further calls throw, and so does the next chunk of a load that is
   * still being read.
   */
  close(): Promise<void>;
}

/**
 * One kind of L2, for the thread that owns the tiers and makes every change of them. The promise besides that of
 * L2Reader:
 * - A store is visible all at once or not at all, and a failed store leaves what was there.
 * - After `store` resolved, the object survives kill -9 (and, where the tier can, power loss).
 * - Whatever leaves is published as l2.removed, and its key told to the listener that the tier was opened with.
 * - Calls for different keys run side by side; the caller orders calls for one key.
 * - A call may be given up (wrap/timeout.ts): a late deletion must concern only what was there when it was asked for.
 */
export interface L2Adapter extends L2Reader {
  /**
   * Stores or replaces. VitrineError("no_room") if it cannot fit under the limit even after eviction. Returns the
   * metadata that was stored.
   */
  store(key: ObjectKey, source: StoreSource): Promise<ObjectMeta>;
  /** The same for an object of up to `groupLimitBytes`, in fewer steps. */
  readonly storeWhole?: ((key: ObjectKey, object: WholeObject) => Promise<void>) | undefined;
  /** True if there was such an object. */
  delete(key: ObjectKey): Promise<boolean>;
  /**
   * Removes every object, or one tenant's; returns how many, once they are gone for good. That may take long: as soon
   * as none of them is visible any more, `onInvisible` is called, and from then on other calls go on side by side with
   * the rest, which touches nothing that is stored later.
   */
  clear(tenant?: string, onInvisible?: () => void): Promise<number>;
  /** Objects up to this size are committed in groups: it is good to ask for many at once. Default 0. */
  readonly groupLimitBytes?: number;
  /**
   * The keys of all objects, in no order, perhaps of some more; those that are stored meanwhile perhaps not. Only where
   * nobody but this server can store; else missing.
   */
  readonly keys?: (() => AsyncIterable<readonly ObjectKey[]>) | undefined;
}
