import type { ObjectKey } from "../core/key.ts";
import type { MissReason } from "../core/events.ts";
import type { ObjectMeta, Precondition } from "../core/object.ts";
import type { L1Usage } from "../l1/l1.ts";
import type { TierUsage } from "../l2/adapter.ts";
/** A value that is available at once on the fast path, and later on the slow one. */
export type MaybePromise<T> = T | Promise<T>;

/**
 * One reader's hold on one object. Exactly one `release` must follow, when the runtime has finished with the memory.
 */
export interface ObjectRead {
  readonly meta: ObjectMeta;
  /** The tier where it was found: "l1" or the adapter's name. */
  readonly tier: string;
  /** The bytes [start, end) in fresh private memory if all of them are in L1 now, else undefined. For small bodies. */
  copy(start: number, end: number): Uint8Array<ArrayBuffer> | undefined;
  /**
   * The bytes [start, end) in order, in non-empty chunks of at most 1 MiB. A chunk over shared memory stays valid until
   * `release`, one in private memory until the next is requested. Throws VitrineError("tier_failed") if the tier fails
   * half-way; the response must then be aborted.
   */
  chunks(start: number, end: number): AsyncGenerator<Uint8Array, void, void>;
  /** Ends the hold. Idempotent. `finished`: all requested bytes have been handed over. */
  release(outcome: "finished" | "aborted"): void;
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
   * Checks length and digest, admits, stores according to the durability. Throws length_mismatch, digest_mismatch,
   * precondition_failed, no_room, tier_failed; the key then keeps its previous object.
   */
  finish(): Promise<PutResult>;
  /** Gives the room back; the key keeps its previous object. Idempotent. */
  abort(): void;
}

/** The result of a PUT. */
export interface PutResult {
  readonly meta: ObjectMeta;
  /** True if there was an object before. */
  readonly replaced: boolean;
}

/** An entry of a listing. */
export interface ListEntry {
  readonly key: string;
  readonly meta: ObjectMeta;
}

/** Called, before the answer, with the course of a lookup that L1 could not answer. */
export interface LookupListener {
  missed(reason: MissReason): void;
  /**
   * Called when a tier has reported whether it has the object, or has failed. Not called for a lookup that joins
   * another one's load. `startMs`: monotonic milliseconds.
   */
  asked(tier: string, took: { readonly startMs: number; readonly seconds: number }): void;
}

/** A level that was asked, or would have been. */
export interface Tried {
  /** "l1" or the adapter's name. */
  readonly tier: string;
  /** skipped: its copy is known to be outdated and is not read. */
  readonly result: "hit" | "miss" | "error" | "skipped";
  /** The reason, unless it is a hit. For a miss: how the copy was lost here. */
  readonly reason?: MissReason | "tier_failed" | "outdated";
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
  readonly reason?: MissReason | "tier_failed";
  /** In the order in which they are asked. */
  readonly tried: readonly Tried[];
}

/** The two levels as one cache. The only storage interface that routes use. */
export interface Storage {
  /**
   * An L1 hit is answered synchronously. undefined = miss. Throws tier_failed if a tier could not answer and no other
   * had the object.
   */
  get(key: ObjectKey, listener?: LookupListener): MaybePromise<ObjectRead | undefined>;
  /** Like `get`, but gives only the metadata and the tier. */
  head(
    key: ObjectKey,
    listener?: LookupListener,
  ): MaybePromise<{ readonly meta: ObjectMeta; readonly tier: string } | undefined>;
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
  list(
    query: {
      readonly tenant: string;
      readonly prefix: string;
      readonly limit: number;
      readonly after: string;
      readonly tier: string | undefined;
    },
  ): Promise<{ readonly entries: readonly ListEntry[]; readonly more: boolean }>;
  /** Names of the tiers in the order in which they are asked, "l1" first. */
  readonly tiers: readonly string[];
  /** The full state, as JSON for /status. */
  status(): Promise<StorageStatus>;
  /** Refuses new writes, finishes running ones, stores dirty objects, closes the tiers. */
  drain(): Promise<void>;
}

/** A snapshot of the storage manager for /status. */
export interface StorageStatus {
  readonly l1: L1Usage;
  readonly l2: readonly ({ readonly tier: string; readonly error?: string } & Partial<TierUsage>)[];
  readonly storeQueue: {
    readonly entries: number;
    readonly bytes: number;
    readonly inFlight: number;
    readonly oldestAgeSeconds: number;
  };
  readonly loadsInFlight: number;
  /** Losses that were overwritten by newer ones. Misses of their keys are "unknown". */
  readonly ghostsForgotten: number;
}
