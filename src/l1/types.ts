import type { ObjectKey } from "../core/key.ts";
import type { ObjectMeta } from "../core/object.ts";

/** Why an object left L1. */
export type RemovalReason =
  | "watermark"
  | "pressure"
  | "quota"
  | "expired"
  | "deleted"
  | "cleared"
  | "replaced"
  | "temporary";

/** A reservation's token: the lease slot and the generation it was given in. A stale token is refused, and never touches memory that was reused. */
export interface Lease {
  readonly slot: number;
  readonly generation: number;
}

/** What is known when a write is reserved. */
export interface WriteRequest {
  readonly key: ObjectKey;
  /** Bytes to reserve now; `extend` adds more while the final size is unknown. */
  readonly sizeBytes: number;
  readonly contentType: string;
  /** Base64 SHA-256 or "". */
  readonly sha256: string;
  /** Freed when its last read lease ends (default false). */
  readonly temporary?: boolean;
  /** Metadata of an object that is being loaded: lets other readers follow the staging before it is admitted. */
  readonly loading?: ObjectMeta;
}

/** A write reservation: memory that only its holder sees until it is admitted. */
export interface Staging {
  readonly lease: Lease;
  /** The reserved memory in order, together at least `sizeBytes` long; views over the shared arena. Stop using them when the lease ends. */
  readonly extents: readonly Uint8Array[];
}

/** Why a write was not reserved: the same tag already stages the key; no room even after eviction; above the admission limit. */
export type WriteRefusal = "staging" | "no_room" | "too_large";

/** A read reservation. */
export interface Resident {
  readonly lease: Lease;
  readonly meta: ObjectMeta;
  /** The object's bytes in order, exactly meta.sizeBytes long together; views over the shared arena, valid until finishRead. */
  readonly extents: readonly Uint8Array[];
}

/** A read reservation on an object that is still being loaded. */
export interface Following extends Resident {
  /** Bytes from the start that are there and verified. */
  filledBytes(): number;
  /** loading → done (all bytes there) | failed (no more will come). */
  state(): "loading" | "done" | "failed";
}

/** What a finished write became: admitted; dropped because the key was already resident ("keep" only); dropped because the key was deleted or replaced since the load began; refused because the lease is stale. */
export type WriteOutcome = "admitted" | "duplicate" | "superseded" | "stale";

/** What is known when a write is finished. */
export interface WriteCommit {
  readonly lease: Lease;
  readonly sizeBytes: number;
  readonly crc32: number;
  readonly version: number;
  readonly createdMs: number;
  readonly expiresMs: number;
}

/** How full L1 is, in bytes of the arena. */
export interface L1Usage {
  readonly objects: number;
  readonly maxObjects: number;
  /** Bytes of the arena in use, metadata and rounding included. */
  readonly usedBytes: number;
  readonly capacityBytes: number;
  /** Bytes reserved for writing and not admitted; part of usedBytes. */
  readonly stagingBytes: number;
  /** Bytes of the resident objects themselves. */
  readonly payloadBytes: number;
  readonly readLeases: number;
  readonly writeLeases: number;
}
