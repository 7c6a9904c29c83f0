import type { Clock } from "../core/clock.ts";
import type { MissReason } from "../core/events.ts";
import type { ObjectKey, ObjectMeta, Precondition } from "../core/object.ts";
import type { Holder, L1, L1Usage, TenantQuota, UseHit } from "../l1/l1.ts";
import type { JobMode, JobView, Name64 } from "./shared/prefetch_jobs.ts";
import type { ListPage, ListQuery, TierUsage } from "../l2/adapter.ts";

/** A value that is available at once on the fast path, and later on the slow one. */
export type MaybePromise<T> = T | Promise<T>;

/**
 * One reader's hold on one object. Exactly one `release` must follow, when the runtime has finished with the memory.
 */
export interface ObjectRead extends FoundObject {
  /** The bytes [start, end) in fresh private memory if all of them are in L1 now, else undefined. For small bodies. */
  copy(start: number, end: number): Uint8Array<ArrayBuffer> | undefined;
  /**
   * The bytes [start, end) in order, in non-empty chunks of at most 1 MiB. A chunk over shared memory stays valid until
   * `release`, one in private memory until the next is requested. Throws VitrineError("tier_failed") if the tier fails
   * half-way; the response must then be aborted.
   */
  chunks(start: number, end: number): AsyncGenerator<Uint8Array, void, void>;
  /**
   * Ends the hold. Idempotent. `finished`: all requested bytes have been handed over; `unread`: nobody wanted them,
   * which is no read in the metrics.
   */
  release(outcome: "finished" | "aborted" | "unread"): void;
}

/** A client's request to store an object, before it sends the body. */
export interface PutRequest {
  readonly key: ObjectKey;
  /** From Content-Length; undefined if the body is chunked. */
  readonly sizeBytes: number | undefined;
  readonly contentType: string;
  /** Base64 SHA-256 that the body must have; "" = not given. */
  readonly sha256: string;
  /** Packed header fields that are kept with the object (core/object.ts). */
  readonly headers?: string | undefined;
  /** Time to live from admission; 0 = never expires. */
  readonly ttlSeconds: number;
  /**
   * l1: acknowledge from memory, flush later; l2: acknowledge once the tiers have it; undefined: the server's setting.
   */
  readonly durability: "l1" | "l2" | undefined;
  readonly precondition: Precondition | undefined;
}

/** A write with reserved room. Ends with exactly one `finish` or `abort`. */
export interface Upload {
  /**
   * Takes the next bytes. The memory may be reused after the promise resolves (at once, if there is none). Throws
   * length_mismatch, too_large, no_room, tier_failed.
   */
  write(chunk: Uint8Array): MaybePromise<void>;
  /**
   * Takes the last bytes, if any; checks length and digest, admits, stores according to the durability. Throws like
   * `write`, and digest_mismatch, precondition_failed; the key then keeps its previous object.
   */
  finish(late?: LateFacts): Promise<PutResult>;
  /** Gives the room back; the key keeps its previous object. Idempotent. */
  abort(): void;
}

/** The metadata that an object keeps when it comes from another server. */
export type OriginMeta = Pick<ObjectMeta, "sizeBytes" | "crc32" | "version" | "createdMs" | "expiresMs">;

/**
 * Largest body that L1 admits in one step, if `finish` has all of it. It is copied under L1's lock. L1 gives that much
 * memory in one piece.
 */
export const AT_ONCE_BYTES = 16 * 1024;

/** Facts about an upload that are known only after its bytes. */
export interface LateFacts {
  /** The last bytes, or a whole body that is small. They must not change before `finish` has ended. */
  readonly last?: Uint8Array | undefined;
  /** The packed header fields in place of the request's, as long as those. */
  readonly headers?: string | undefined;
  /** The object as another server has it: size and checksum are compared, version and times are kept. */
  readonly origin?: OriginMeta | undefined;
  /** In place of the request's. */
  readonly precondition?: Precondition | undefined;
}

/** The result of a PUT. */
export interface PutResult {
  readonly meta: ObjectMeta;
  /** True if there was an object before. */
  readonly replaced: boolean;
  /** The object before. */
  readonly before?: ObjectMeta | undefined;
}

/** An object that was found, and the tier where: "l1" or the adapter's name. */
export interface FoundObject {
  readonly meta: ObjectMeta;
  readonly tier: string;
}

/** An entry of a listing. */
export type ListEntry = ListPage["entries"][number];

/** Called, before the answer, with the course of a lookup that L1 could not answer. */
export interface LookupListener {
  missed(reason: MissReason): void;
  /**
   * Called when a tier has reported whether it has the object, or has failed. Not called for a lookup that joins
   * another one's load. `startMs`: monotonic milliseconds.
   */
  asked(tier: string, took: { readonly startMs: number; readonly seconds: number }): void;
}

/** The levels that have some keys. */
export interface HeldKeys {
  /** For each key, a bit for each level that has it, in the order of `Storage.tiers`: 1 for "l1", 2 for the next. */
  readonly levels: Uint32Array;
  /** For each level, the number of leading keys that it or a level before it has. */
  readonly prefixes: readonly number[];
  /** The tiers that could not answer for all keys, with their first error. */
  readonly failed: ReadonlyMap<string, string>;
  /** Indexes of the keys that were not leased, because clients have as many leases as they may; see `Leasing`. */
  readonly refused: readonly number[];
}

/** A lease on the objects that a lookup finds in L1: they are not evicted before its end. */
export interface Leasing {
  readonly holder: Holder;
  /** Its end, in monotonic milliseconds. */
  readonly untilMs: number;
  /** Load what only a tier has into L1 first, as long as leases are to be had. */
  readonly loads: boolean;
}

/** A question about many keys of one tenant. */
export interface ManyLookup {
  /** Ask the tiers about all keys. Default: each about the keys that no level before it has. */
  readonly allTiers?: boolean | undefined;
  /** Tokens that each key stands for, in the metrics (default 1). */
  readonly tokensPerKey?: number | undefined;
  /** Default: nothing is leased. Every key that L1 has, and that is not refused, is leased. */
  readonly leasing?: Leasing | undefined;
}

/** A job that brings many objects of one tenant into L1. */
export interface Prefetch {
  readonly mode: JobMode;
  /** Who begins it: nobody else is told of it. */
  readonly owner: Name64;
  /** Milliseconds after which the job ends in any case. */
  readonly deadlineMs: number;
  /** Milliseconds after the deadline until which what the job brings is leased; undefined: nothing is. */
  readonly leaseMs?: number | undefined;
}

/** Names a prefetch job. */
export interface Job {
  readonly id: Holder;
  readonly owner: Name64;
}

export type { JobMode, JobOutcome, JobView as PrefetchState, Name64 } from "./shared/prefetch_jobs.ts";

/** A level that was asked, or would have been. */
export interface Tried {
  /** "l1" or the adapter's name. */
  readonly tier: string;
  /** skipped: its copy is known to be outdated and is not read. */
  readonly result: "hit" | "miss" | "error" | "skipped";
  /** The reason, unless it is a hit. For a miss: how the copy was lost here. */
  readonly reason?: MissReason | "outdated";
  /** Milliseconds since the epoch at which the copy was lost, if remembered. */
  readonly removedMs?: number;
  /** The tier's error message. */
  readonly error?: string;
  readonly seconds: number;
}

/** The result that a GET would have, and the levels that it would try. */
export interface Explanation {
  readonly result: "hit" | "miss" | "error";
  /** The tier, if it is a hit. */
  readonly tier?: string;
  /** The reason, unless it is a hit. */
  readonly reason?: MissReason;
  /** In the order in which they are asked. */
  readonly tried: readonly Tried[];
}

export type { Holder, UseHit };

/** The two levels as one cache. The only storage interface that routes use. */
export interface Storage {
  /**
   * Reads an object of at most `maxBytes` that is in L1 in one step: `use` gets its metadata, the same for every hit of
   * the object, and views of its bytes that are valid until it returns. `use` must not call the storage. Undefined,
   * without a call of `use`: `get` decides.
   */
  hit<T>(key: ObjectKey, maxBytes: number, use: UseHit<T>): T | undefined;
  /**
   * An L1 hit is answered synchronously. undefined = miss. Throws tier_failed if a tier could not answer and no other
   * had the object, unless the tier has on_error=miss: then it is a miss.
   */
  get(key: ObjectKey, listener?: LookupListener): MaybePromise<ObjectRead | undefined>;
  /** Like `get`, but gives only the metadata and the tier. */
  head(
    key: ObjectKey,
    listener?: LookupListener,
  ): MaybePromise<FoundObject | undefined>;
  /**
   * The levels that have the keys now, of which there is at least one. Each tier is asked about many keys at a time,
   * and about no more once it has failed. No use of the objects.
   */
  lookup(keys: readonly ObjectKey[], options?: ManyLookup): Promise<HeldKeys>;
  /**
   * Begins to bring the keys, of which there is at least one, into L1, and returns the id of the job. Its leases have
   * this id as their holder. Throws overloaded, shutting_down.
   */
  prefetch(keys: readonly ObjectKey[], prefetch: Prefetch): Holder;
  /** A job of any thread as it is when it has ended, or after `waitMs`; undefined: there is none. */
  prefetchState(job: Job, waitMs: number): Promise<JobView | undefined>;
  /** Ends a job of any thread, and exactly its leases, and forgets it; false if there is none. */
  cancelPrefetch(job: Job, tenant: string): boolean;
  /** Ends the leases of a holder on objects of a tenant, whichever thread gave them; returns their number. */
  release(holder: Holder, tenant: string): number;
  /**
   * The result that `get` would have now, level by level. Does not count as a lookup. Like any lookup it removes
   * expired or damaged objects; it changes nothing else.
   */
  explain(key: ObjectKey): Promise<Explanation>;
  /**
   * Reserves room before the body is read. Throws precondition_failed, too_large, no_room, tier_failed, shutting_down.
   */
  reserve(request: PutRequest): MaybePromise<Upload>;
  /**
   * Removes the object from all tiers; false if no tier had it. Throws precondition_failed, tier_failed (the object may
   * then still be there), shutting_down.
   */
  delete(key: ObjectKey, precondition?: Precondition): Promise<boolean>;
  /**
   * Removes everything, or one tenant's objects, from all tiers or one. Returns the number of objects removed from each
   * tier. Throws tier_failed, shutting_down.
   */
  clear(
    options: { readonly tenant: string | undefined; readonly tier: string | undefined },
  ): Promise<Readonly<Record<string, number>>>;
  /** One tenant's objects by key prefix in the byte order of keys, from one tier or from all (each key once). */
  list(query: LevelListQuery): Promise<ListPage>;
  /** Names of the tiers in the order in which they are asked, "l1" first. */
  readonly tiers: readonly string[];
  /** The full state, as JSON for /status. */
  status(): Promise<StorageStatus>;
  /** Refuses new writes, finishes running ones, stores dirty objects, closes the tiers. */
  drain(): Promise<void>;
}

/** A listing of one tier or, if `tier` is undefined, of all of them. */
export interface LevelListQuery extends ListQuery {
  /** "l1" or an adapter's name. */
  readonly tier: string | undefined;
}

/** The state of the storage manager, for /status. */
export interface StorageStatus {
  readonly l1: L1Usage;
  readonly l2: readonly ({ readonly tier: string; readonly error?: string } & Partial<TierUsage>)[];
  readonly storeQueue: {
    readonly entries: number;
    readonly bytes: number;
    readonly inFlight: number;
    readonly oldestAgeSeconds: number;
  };
  /** By tenant. */
  readonly quotas: readonly TenantQuota[];
  readonly loadsInFlight: number;
  /** Losses that were overwritten by newer ones. Misses of their keys are "unknown". */
  readonly lossesForgotten: number;
}

/** The dirty objects of all threads, for /status. */
export function storeQueueStatus(
  { l1, clock }: { readonly l1: Pick<L1, "dirtyUsage">; readonly clock: Clock },
): StorageStatus["storeQueue"] {
  const { entries, bytes, storing, oldestMs } = l1.dirtyUsage();
  const now = clock.monotonicMs();
  return { entries, bytes, inFlight: storing, oldestAgeSeconds: Math.max(0, now - (oldestMs ?? now)) / 1000 };
}
