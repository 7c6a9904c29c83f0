import type { ObjectKey } from "../core/key.ts";
import type { MissReason } from "../core/events.ts";
import type { ObjectMeta, Precondition } from "../core/object.ts";
import type { L1Usage } from "../l1/types.ts";
import type { TierUsage } from "../l2/adapter.ts";
/** A value that is there at once on the fast path and later on the slow one. */
export type MaybePromise<T> = T | Promise<T>;

/**
 * One reader's hold on one object. Exactly one `release` must follow, when the runtime has really finished with the
 * memory.
 */
export interface ObjectRead {
  readonly meta: ObjectMeta;
  /** Where it was found: "l1" or the adapter's name. */
  readonly tier: string;
  /** The bytes [start, end) in fresh private memory if all of them are in L1 now, else undefined. For small bodies. */
  copy(start: number, end: number): Uint8Array<ArrayBuffer> | undefined;
  /**
   * The bytes [start, end) in order, in chunks that are never empty and at most 1 MiB. A chunk over shared memory stays
   * valid until `release`, one in private memory until the next is asked for. Throws VitrineError("tier_failed") if the
   * tier fails half-way; then the response must break off.
   */
  chunks(start: number, end: number): AsyncGenerator<Uint8Array, void, void>;
  /** Gives the hold back. Idempotent. `finished`: all bytes that were wanted have been handed over. */
  release(outcome: "finished" | "aborted"): void;
}

/** What a client says of an object it is about to send. */
export interface PutRequest {
  readonly key: ObjectKey;
  /** From Content-Length; undefined if the body is chunked. */
  readonly sizeBytes: number | undefined;
  readonly contentType: string;
  /** Base64 SHA-256 the body must have; "" = not given. */
  readonly sha256: string;
  /** Header fields to be kept with it, packed (core/object.ts). */
  readonly headers?: string | undefined;
  /** Time to live from admission; 0 = for ever. */
  readonly ttlSeconds: number;
  /**
   * l1: acknowledge from memory, store behind; l2: acknowledge when the tiers have it; undefined: the server's setting.
   */
  readonly durability: "l1" | "l2" | undefined;
  readonly precondition: Precondition | undefined;
}

/** A write that has got its room. Ends with `finish` or `abort`, exactly one of them. */
export interface Upload {
  /**
   * Takes the next bytes; the memory may be reused after the promise resolves (at once, if there is none). Throws
   * length_mismatch, too_large, no_room, tier_failed.
   */
  write(chunk: Uint8Array): MaybePromise<void>;
  /**
   * Checks length and digest, admits, stores according to the durability. Throws length_mismatch, digest_mismatch,
   * precondition_failed, no_room, tier_failed; the key then holds what it held.
   */
  finish(): Promise<PutResult>;
  /** Gives the room back; the key holds what it held. Idempotent. */
  abort(): void;
}

/** What a PUT made. */
export interface PutResult {
  readonly meta: ObjectMeta;
  /** Whether there was an object before. */
  readonly replaced: boolean;
}

/** One row of a listing. */
export interface ListEntry {
  readonly key: string;
  readonly meta: ObjectMeta;
}

/** Told, before the answer, how a lookup went that L1 could not answer. */
export interface LookupListener {
  missed(reason: MissReason): void;
  /**
   * A tier has said whether it has the object, or failed to; not told to a lookup that joins another one's load.
   * `startMs`: monotonic milliseconds.
   */
  asked(tier: string, took: { readonly startMs: number; readonly seconds: number }): void;
}

/** One level that was asked, or would have been. */
export interface Tried {
  /** "l1" or the adapter's name. */
  readonly tier: string;
  /** skipped: what it has is known to be outdated, so that it is not read. */
  readonly result: "hit" | "miss" | "error" | "skipped";
  /** Why, unless it is a hit. Of a miss: how the copy was lost here. */
  readonly reason?: MissReason | "tier_failed" | "outdated";
  /** Milliseconds since the epoch at which the copy was lost, if that is remembered. */
  readonly removedMs?: number;
  /** What the tier said of its failure. */
  readonly error?: string;
  readonly seconds: number;
}

/** What a GET would find, and on which way. */
export interface Explanation {
  readonly result: "hit" | "miss" | "error";
  /** Where, if it is a hit. */
  readonly tier?: string;
  /** Why, unless it is a hit. */
  readonly reason?: MissReason | "tier_failed";
  /** In the order in which they are asked. */
  readonly tried: readonly Tried[];
}

/** The two levels as one cache. The one thing that routes talk to. */
export interface Storage {
  /**
   * An L1 hit is answered synchronously. undefined = miss. Throws tier_failed when a tier could not answer and no other
   * had the object.
   */
  get(key: ObjectKey, listener?: LookupListener): MaybePromise<ObjectRead | undefined>;
  /** Like get, without reading: the metadata and the tier. */
  head(
    key: ObjectKey,
    listener?: LookupListener,
  ): MaybePromise<{ readonly meta: ObjectMeta; readonly tier: string } | undefined>;
  /**
   * What a get would find now, level by level. Counts as no lookup, and changes nothing but what any look removes: what
   * is expired or damaged.
   */
  explain(key: ObjectKey): Promise<Explanation>;
  /**
   * Asks for room before the body is read. Throws precondition_failed, too_large, no_room, tier_failed, shutting_down.
   */
  reserve(request: PutRequest): MaybePromise<Upload>;
  /**
   * Removes from all tiers; false if no tier had it. Throws precondition_failed, tier_failed (it may then still be
   * there), shutting_down.
   */
  delete(key: ObjectKey, precondition?: Precondition): Promise<boolean>;
  /**
   * Removes everything (or one tenant's) from all tiers or one; returns how many objects left each of them. Throws
   * tier_failed, shutting_down.
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
  /** Names of the tiers in the order they are asked: "l1" first. */
  readonly tiers: readonly string[];
  /** Everything inside, as JSON for /status. */
  status(): Promise<StorageStatus>;
  /** Refuses new writes, finishes the running ones, stores what is queued, closes the tiers. */
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
  /**
   * Losses that were remembered and are not any more, because there were newer ones: misses of their keys are
   * "unknown".
   */
  readonly ghostsForgotten: number;
}
