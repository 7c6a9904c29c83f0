import type { ObjectKey } from "../../core/key.ts";
import type { ObjectMeta, Precondition } from "../../core/object.ts";
import type { Lease } from "../../l1/types.ts";
import type { PutResult } from "../storage.ts";
import type { ReleaseRoom, RoomRequest } from "./store_room.ts";

/** Facts about a body that arrived whole and was verified. */
export interface NewObject extends Pick<ObjectMeta, "sizeBytes" | "crc32" | "contentType" | "sha256"> {
  readonly headers?: string | undefined;
  /** Time to live from admission; 0 = for ever. */
  readonly ttlSeconds: number;
}

/** A PUT whose body arrived whole and was verified. */
export interface VerifiedWrite {
  readonly key: ObjectKey;
  readonly object: NewObject;
  readonly precondition: Precondition | undefined;
}

/** A PUT of an object that is staged in L1. */
export interface StagedWrite extends VerifiedWrite {
  /** The write lease of the memory. While it is live, a client waits for the write. */
  readonly lease: Lease;
}

/** An upload that goes to the tiers as it arrives. */
export interface StreamRequest {
  readonly key: ObjectKey;
  /** undefined: not announced. */
  readonly sizeBytes: number | undefined;
  /** True: all tiers must store it; false: one is enough. */
  readonly needsAll: boolean;
}

/** An upload on its way to the tiers. Nothing of it is visible before `finish`. */
export interface TierStream {
  /**
   * Resolves when the memory of the chunk may be used again. Throws tier_failed or no_room: the chunk's tiers failed,
   * or those of a chunk before it.
   */
  write(chunk: Uint8Array): Promise<void>;
  /**
   * Makes the object visible in the tiers, in the key's turn and unless the precondition fails; then L1 lets go of what
   * it held. Throws as `TierChanges.put`.
   */
  finish(write: VerifiedWrite): Promise<PutResult>;
  /** Breaks off. Has no effect after `finish`. */
  abort(): void;
}

/** A write that waits for its store and belongs to a request whose events carry details. */
export interface FollowedWrite {
  /** Of the object: no other has it. */
  readonly version: number;
  readonly requestId: string;
}

/**
 * Every change of what the tiers hold, as all threads ask for it. One thread owns the tiers and makes them; it orders
 * those of a key.
 */
export interface TierChanges {
  /** Stores in all tiers, then admits to L1. Throws precondition_failed, no_room, tier_failed. */
  put(write: StagedWrite): Promise<PutResult>;
  /** Begins an upload that goes past L1. */
  stream(request: StreamRequest): TierStream;
  /**
   * Removes the key from all levels; false if none had it. Throws precondition_failed, and tier_failed: then the object
   * may still be there, in L1 too.
   */
  delete(key: ObjectKey, precondition: Precondition | undefined): Promise<boolean>;
  /**
   * Removes every object, or one tenant's, from all levels or one; returns how many left each level. Throws
   * tier_failed.
   */
  clear(tenant: string | undefined, tier: string | undefined): Promise<Readonly<Record<string, number>>>;
  /**
   * Waits for room among what is dirty, where all that wait take turns. Throws tier_failed if none becomes free for
   * too long.
   */
  room(request: RoomRequest): Promise<ReleaseRoom>;
  /** L1 has something that the tiers do not have yet. */
  wake(followed?: FollowedWrite): void;
}
