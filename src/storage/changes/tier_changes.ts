import type { ObjectKey, ObjectMeta, Precondition } from "../../core/object.ts";
import type { Failure } from "../../core/threads.ts";
import type { Lease } from "../../l1/l1.ts";
import type { OriginMeta, PutResult } from "../storage.ts";
import type { ReleaseRoom, RoomRequest } from "./store_room.ts";

/** Metadata of a body that arrived whole and was verified. */
export interface NewObject extends Pick<ObjectMeta, "sizeBytes" | "crc32" | "contentType" | "sha256"> {
  readonly headers?: string | undefined;
  /** Time to live from admission; 0 = never expires. */
  readonly ttlSeconds: number;
  /** Version and times of an object that comes from another server; default: new ones. */
  readonly origin?: OriginMeta | undefined;
}

/** A PUT whose body arrived whole and was verified. */
export interface VerifiedWrite {
  readonly key: ObjectKey;
  readonly object: NewObject;
  readonly precondition: Precondition | undefined;
}

/** A PUT of an object that is staged in L1. */
export interface StagedWrite extends VerifiedWrite {
  /** The write lease of the staged memory. While it is live, a client waits for the write. */
  readonly lease: Lease;
}

/** An upload that is stored in the tiers as it arrives. */
export interface StreamRequest {
  readonly key: ObjectKey;
  /** undefined: not announced. */
  readonly sizeBytes: number | undefined;
  /** True: all tiers must store it; false: one is enough. */
  readonly needsAll: boolean;
  /** The metadata that is known before the bytes. */
  readonly early?: Pick<ObjectMeta, "contentType" | "sha256" | "headers"> | undefined;
}

/** An upload to the tiers in progress. Nothing is visible before `finish`. */
export interface TierStream {
  /**
   * Resolves when the chunk's memory may be reused. Throws tier_failed or no_room if the tiers failed on this chunk or
   * an earlier one.
   */
  write(chunk: Uint8Array): Promise<void>;
  /**
   * Makes the object visible in the tiers, in order with other changes of the key and only if the precondition holds.
   * L1 then drops the key's old object. Throws like `TierChanges.put`.
   */
  finish(write: VerifiedWrite): Promise<PutResult>;
  /** Aborts. No effect after `finish`. */
  abort(): void;
}

/** A write that waits for its store and belongs to a request whose events carry details. */
export interface TracedWrite {
  /** The object's version, which no other object has. */
  readonly version: number;
  readonly requestId: string;
}

/**
 * The changes of the tiers, as any thread requests them. One thread owns the tiers, makes the changes and orders those
 * of a key.
 */
export interface TierChanges {
  /** Stores in all tiers, then admits to L1. Throws precondition_failed, no_room, tier_failed. */
  put(write: StagedWrite): Promise<PutResult>;
  /** Begins an upload that goes past L1. */
  stream(request: StreamRequest): TierStream;
  /**
   * Removes the key from all levels; false if none had it. Throws precondition_failed or tier_failed. After tier_failed
   * the object may still be there, in L1 too.
   */
  delete(key: ObjectKey, precondition: Precondition | undefined): Promise<boolean>;
  /**
   * Removes every object, or one tenant's, from all levels or one. Returns the number removed from each level. Throws
   * tier_failed.
   */
  clear(tenant: string | undefined, tier: string | undefined): Promise<Readonly<Record<string, number>>>;
  /**
   * Waits for room for a dirty object; waiting writes take turns. Throws tier_failed if none becomes free for too long.
   */
  room(request: RoomRequest): Promise<ReleaseRoom>;
  /**
   * Asks the tiers that other servers change unnoticed (`maxAgeMs`) whether this server's copies of a key are current,
   * and drops those that are not. Copies stay if a tier cannot answer. Throws tier_failed only if the owner is gone.
   */
  verify(key: ObjectKey): Promise<void>;
  /** Reports that L1 has an object that the tiers do not have yet. */
  wake(traced?: TracedWrite): void;
}

/** A chunk of a stream, in its window. The first one opens the stream. */
export interface ChunkRequest {
  readonly kind: "chunk";
  readonly stream: number;
  readonly opens: { readonly request: StreamRequest; readonly window: SharedArrayBuffer } | undefined;
  readonly start: number;
  readonly end: number;
}

/** Ends a stream, which then becomes visible. */
export interface FinishRequest {
  readonly kind: "finish";
  readonly stream: number;
  readonly write: VerifiedWrite;
}

/** A request of a worker. */
export type ChangeRequest =
  | { readonly kind: "put"; readonly write: StagedWrite }
  | ChunkRequest
  | FinishRequest
  | { readonly kind: "room"; readonly request: RoomRequest }
  | {
    readonly kind: "delete";
    readonly key: ObjectKey;
    readonly precondition: Precondition | undefined;
    /** Deadline in monotonic milliseconds. No client waits for the delete after it, so it must not happen then. */
    readonly untilMs: number;
  }
  | { readonly kind: "clear"; readonly tenant: string | undefined; readonly tier: string | undefined }
  | { readonly kind: "verify"; readonly key: ObjectKey };

/** A message from a worker to the owner of the tiers. Messages of one turn of the event loop are sent together. */
export type ToTierOwner =
  | { readonly kind: "asked"; readonly id: number; readonly asked: ChangeRequest }
  /** The write that was given room by this request has tried to use it. */
  | { readonly kind: "tried"; readonly id: number }
  /** The stream was aborted. */
  | { readonly kind: "aborted"; readonly stream: number }
  | { readonly kind: "wake"; readonly traced: TracedWrite | undefined };

/** The owner's answer to each kind of request. */
export interface Answers {
  readonly put: PutResult;
  readonly chunk: undefined;
  readonly finish: PutResult;
  readonly room: undefined;
  readonly delete: boolean;
  readonly clear: Readonly<Record<string, number>>;
  readonly verify: void;
}

/** A message from the owner to a worker. Messages of one turn of the event loop are sent together. */
export type FromTierOwner =
  | { readonly kind: "answered"; readonly id: number; readonly value: Answers[ChangeRequest["kind"]] }
  | { readonly kind: "failed"; readonly id: number; readonly failure: Failure };
