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

/** A key in UTF-8, tenant first. */
export interface EncodedKey {
  readonly bytes: Uint8Array;
  readonly tenantLength: number;
  /** Bytes of tenant and key together. */
  readonly length: number;
}

/**
 * Told of every object that leaves L1, before it is out of sight, so that a thread that dies in between has told of it.
 * Called under the arena's lock: must be short, must not throw or call L1, and must not keep the key, which is
 * overwritten.
 */
export type L1RemovalListener = (key: EncodedKey, reason: RemovalReason) => void;

/**
 * A reservation's token: the lease slot and the generation it was given in. A stale token is refused, and never touches
 * memory that was reused.
 */
export interface Lease {
  readonly slot: number;
  readonly generation: number;
}

/** What L1 knows of a key: its object, or that it has none although tiers may have an older one. */
export interface Known {
  /** undefined: the object has expired before it was stored, so that what tiers have is older still. */
  readonly meta: ObjectMeta | undefined;
  /** Whether the tiers do not have it yet. */
  readonly isDirty: boolean;
}

/**
 * Decides under the arena's lock whether a step is taken, by what L1 knows of its key at that moment (undefined:
 * nothing). Must be short and must not call L1. What it throws is a VitrineError, and nothing has happened then.
 */
export type Decide = (known: Known | undefined) => boolean;

/** What is known when a write is reserved. */
export interface WriteRequest {
  readonly key: ObjectKey;
  /** Bytes to reserve now, evicting if need be; `extend` adds more. */
  readonly sizeBytes: number;
  /** Bytes beyond these, if they are to be had without evicting now or in the next turn of the loop (default 0). */
  readonly spareBytes?: number;
  readonly contentType: string;
  /** Base64 SHA-256 or "". */
  readonly sha256: string;
  /** Header fields that are kept with it, packed (core/object.ts). */
  readonly headers?: string | undefined;
  /** Freed when its last read lease ends (default false). */
  readonly temporary?: boolean;
  /**
   * Metadata of an object that is being loaded, of the same size: lets other readers follow the staging before it is
   * admitted.
   */
  readonly loading?: ObjectMeta;
  /** Whether memory is still wanted for it (default: it is). May be asked more than once. */
  readonly decide?: Decide;
}

/** A write reservation: memory that only its holder sees until it is admitted. */
export interface Staging {
  readonly lease: Lease;
  /**
   * The reserved memory in order, together at least `sizeBytes` long; views over the shared arena. Stop using them when
   * the lease ends.
   */
  readonly extents: readonly Uint8Array[];
}

/**
 * Why a write was not reserved: the same tag already stages the key; no room even after eviction, or all stagings
 * together hold their share; above the admission limit; it was decided so.
 */
export type WriteRefusal = "staging" | "no_room" | "too_large" | "unwanted";

/** A read reservation. */
export interface Resident {
  readonly lease: Lease;
  readonly meta: ObjectMeta;
  /**
   * The object's bytes in order, exactly meta.sizeBytes long together; views over the shared arena, valid until
   * finishRead.
   */
  readonly extents: readonly Uint8Array[];
}

/** Bounds on what is acknowledged and not stored yet, of all threads together. */
export interface StoreLimits {
  readonly maxEntries: number;
  /** A single larger object is let in when there is no other. */
  readonly maxBytes: number;
  /** While the oldest has waited longer, in milliseconds, no other is let in; 0 (default) = no bound. */
  readonly maxAgeMs?: number;
}

/** What is acknowledged and not stored yet; what was replaced while it was being stored is among it until that ends. */
export interface DirtyUsage {
  readonly entries: number;
  readonly bytes: number;
  /** Of the entries: taken by a thread that stores them. */
  readonly storing: number;
  /** When the oldest was admitted, in monotonic milliseconds; undefined if there is none. */
  readonly oldestMs: number | undefined;
}

/** An object that was taken to store it, and the lease that says so. */
export interface DirtyObject {
  readonly key: ObjectKey;
  readonly resident: Resident;
}

/** A read reservation on an object that is still being loaded. */
export interface Following extends Resident {
  /** Bytes from the start that are there and verified. */
  filledBytes(): number;
  /** loading → done (all bytes there) | failed (no more will come). */
  state(): "loading" | "done" | "failed";
}

/**
 * What a finished write became: admitted; dropped because the key was already resident ("keep" only); dropped because
 * the key was deleted or replaced since the load began; refused because the lease is stale.
 */
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
  /** As many as the live tokens stand for. */
  readonly readLeases: number;
  readonly writeLeases: number;
  /**
   * Time since the resident that was admitted first was admitted; 0 if there is none. Reads do not matter; what is
   * replaced is admitted anew.
   */
  readonly oldestAgeSeconds: number;
  /** How often the tables were repaired after a section that was cut off. */
  readonly repairs: number;
}

/** A part of one tenant's keys, in the order of their UTF-8 bytes. */
export interface KeyRange {
  readonly tenant: string;
  readonly prefix: string;
  /** Only what is greater; "": from the first on. */
  readonly after: string;
  /** Only what is not greater; undefined: to the last. */
  readonly through?: string | undefined;
}

/** Keys that were admitted lately. */
export interface RecentKeys {
  readonly keys: readonly string[];
  /** L1.admissions at that moment. */
  readonly admissions: number;
}

/**
 * The memory tier. Everything is synchronous; a batch is atomic towards other callers and results are per key, in the
 * order asked. Any thread that maps the arena has one of these, with its own holder number; leases of one holder lapse
 * together.
 */
export interface L1 {
  /** Largest object L1 admits, in bytes. */
  readonly admissionLimitBytes: number;
  /**
   * A batch's memory is all or nothing: if it does not fit even after eviction, every key that needed memory is
   * refused. `tag` excludes itself and nobody else.
   */
  reserveWrite(requests: readonly WriteRequest[], tag: string): readonly (Staging | WriteRefusal)[];
  /**
   * Grows a staging of this holder to at least `sizeBytes` in all, and by spare bytes as in a WriteRequest; the new
   * list of extents (earlier ones unchanged), or the refusal.
   */
  extend(
    lease: Lease,
    sizeBytes: number,
    spareBytes?: number,
  ): readonly Uint8Array[] | "no_room" | "too_large" | "stale";
  /** Whether stagings may hold that many bytes more at this moment; what it answers is over the next moment. */
  mayStage(bytes: number): boolean;
  /** Tells followers of a loading staging that the first `filledBytes` are there and verified. */
  filled(lease: Lease, filledBytes: number): void;
  /**
   * Admits, atomically. An object already resident is replaced ("replace": a PUT; running loads of the key become
   * superseded) or kept ("keep": a load; the staged copy is dropped). Batches are given head first; the tail is evicted
   * first. Throws length_mismatch, and ends nothing, if an object is larger than its memory.
   */
  finishWrite(commits: readonly WriteCommit[], onResident: "replace" | "keep"): readonly WriteOutcome[];
  /**
   * Like finishWrite, and takes `count` read leases in the same step, on the resident copy if the staged one was
   * dropped. undefined where nothing is resident afterwards.
   */
  finishWriteAndReserveRead(
    commits: readonly WriteCommit[],
    onResident: "replace" | "keep",
    count?: number,
  ): readonly (Resident | undefined)[];
  /**
   * Admits one object, replacing what is there, whoever of the threads has staged it. Within `dirty` limits it is one
   * that the tiers do not have yet: until it was taken and its lease given back L1 keeps it, out of lookups' sight once
   * it has expired; a delete, clear or newer write removes it as ever. All answers but "admitted" change nothing; the
   * room is looked at first, the decision is asked last.
   */
  admit(
    commit: WriteCommit,
    how: { readonly dirty?: StoreLimits | undefined; readonly decide?: Decide | undefined },
  ): "admitted" | "full" | "stale" | "unwanted";
  /** The memory behind a live write lease, of whatever thread; undefined if it is stale. As in Staging. */
  staging(lease: Lease): readonly Uint8Array[] | undefined;
  /**
   * Takes dirty objects that wait, the oldest first, each with a lease without a deadline: `finishRead` says that the
   * tiers have the object, or have nothing older. If the holder dies before, they wait again.
   */
  takeDirty(most: number): readonly DirtyObject[];
  /** The current objects that the tiers do not have yet, one by one. Without the lock, as `usage`. */
  dirty(): { readonly objects: number; readonly bytes: number };
  /** What counts against the limits. Without the lock, as `usage`. */
  dirtyUsage(): DirtyUsage;
  /** Gives staged memory back, never admitted; followers see "failed". */
  abort(leases: readonly Lease[]): void;
  /**
   * `count` leases in one token each; undefined where the key is not resident or has expired. Throws no_room, and takes
   * nothing, when the lease table is full.
   */
  reserveRead(keys: readonly ObjectKey[], count?: number): readonly (Resident | undefined)[];
  /** A read lease on an object that someone stages with `tag` and `loading` metadata; undefined if nobody does. */
  follow(key: ObjectKey, tag: string): Following | undefined;
  /**
   * Gives `count` of a token's read leases back. False if the token was stale: given back, or ended after its deadline.
   * True means that its object was held until now.
   */
  finishRead(leases: readonly Lease[], count?: number): readonly boolean[];
  /** Pushes a live lease's deadline out again. False if it was stale. */
  renew(lease: Lease): boolean;
  /** Whether the object behind a live read lease is still what a lookup of its key would find. */
  isCurrent(lease: Lease): boolean;
  /** Metadata without a lease and without counting as an access. */
  peek(key: ObjectKey): ObjectMeta | undefined;
  /** The same, and whether what tiers have is outdated; undefined: L1 knows nothing of the key. */
  know(key: ObjectKey): Known | undefined;
  /**
   * Removes from sight at once; memory follows with the last lease. Running loads of the key become superseded. True
   * where there was an object. `decide`: which are to be removed (default: all).
   */
  delete(keys: readonly ObjectKey[], reason?: RemovalReason, decide?: Decide): readonly boolean[];
  /**
   * Removes all objects, or one tenant's, dirty ones only if `which` is "all" (default): some with each step, which
   * says how many. Others should have their turn between steps.
   */
  clear(tenant?: string, which?: "all" | "clean"): Generator<number, void, void>;
  /** Recency without a read. */
  touch(keys: readonly ObjectKey[]): void;
  /** How many objects were admitted so far, modulo 2^32. */
  readonly admissions: number;
  /**
   * The keys of a range, in no order: each step looks at some entries, with the range as it is then, and a pass costs
   * as much as there are entries of all tenants. Keys that are there from the first step to the last are found if they
   * are not admitted anew meanwhile (recentKeys); others perhaps, and expired ones.
   */
  keys(range: () => KeyRange): Generator<readonly string[], void, void>;
  /**
   * All keys of a range that were admitted since `admissions` was so much and are there, and perhaps some others;
   * undefined if that means a look at more than `most` entries.
   */
  recentKeys(range: KeyRange, admissions: number, most: number): RecentKeys | undefined;
  usage(): L1Usage;
  /** Throws shutting_down if this thread was declared dead although it still runs. */
  assertAlive(): void;
  /** One turn of the loop: expired leases and objects, then eviction from the high to the low watermark. */
  tick(): void;
}
