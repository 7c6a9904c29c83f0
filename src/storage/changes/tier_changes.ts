import type { ObjectKey } from "../../core/key.ts";
import type { ObjectMeta, Precondition } from "../../core/object.ts";
import type { Lease } from "../../l1/types.ts";
import type { StoreResult } from "../tiers/tier.ts";
import type { PutResult } from "../types.ts";

/** Facts about a body that arrived whole and was verified. */
export interface NewObject extends Pick<ObjectMeta, "sizeBytes" | "crc32" | "contentType" | "sha256"> {
  readonly headers?: string | undefined;
  /** Time to live from admission; 0 = for ever. */
  readonly ttlSeconds: number;
}

/** A PUT of an object that lies staged in L1. */
export interface StagedWrite {
  readonly key: ObjectKey;
  readonly object: NewObject;
  readonly precondition: Precondition | undefined;
  /** Of the memory. As long as it is live somebody waits for the write. */
  readonly lease: Lease;
}

/** A PUT whose bytes the thread that took them has given to its own adapters. */
export interface StreamedWrite extends Omit<StagedWrite, "lease"> {
  /** True: all tiers must have it; false: one is enough. */
  readonly needsAll: boolean;
}

/**
 * The last step of a streamed PUT: makes the object visible in the tiers. `assertGranted` throws if it is not this
 * step's turn any more; to be asked with nothing awaited before the object becomes visible.
 */
export type FinishStream = (meta: ObjectMeta, assertGranted: () => void) => Promise<readonly StoreResult[]>;

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
  /**
   * Calls `finish` in the key's turn, unless the precondition fails; then L1 lets go of what it held. Throws as `put`.
   */
  stream(write: StreamedWrite, finish: FinishStream): Promise<PutResult>;
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
  /** L1 has something that the tiers do not have yet. */
  wake(followed?: FollowedWrite): void;
}
