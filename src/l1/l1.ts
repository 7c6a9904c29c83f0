import type { ObjectKey, ObjectMeta } from "../core/object.ts";

/** The reason why an object left L1. */
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
 * Called with every object that leaves L1, before lookups stop seeing it, so that a thread that dies in between has
 * already reported it. Runs under the arena's lock: it must be short, must not throw or call L1, and must not keep the
 * key, which is overwritten.
 */
export type L1RemovalListener = (key: EncodedKey, reason: RemovalReason) => void;

/**
 * Token of a reservation: the lease slot and its generation. A stale token is refused and never touches reused memory.
 */
export interface Lease {
  readonly slot: number;
  readonly generation: number;
}

/** The name of a client's lease: 64 random bits, as two 32-bit integers. */
export interface Holder {
  readonly high: number;
  readonly low: number;
}

/** Outcome of a hold; full: the objects that are held take their share of L1 already, or too many are. */
export type HoldOutcome = "held" | "absent" | "full";

/** L1's knowledge of a key: its object, or that there is none although the tiers may have an older one. */
export interface Known {
  /** undefined: the object expired before it was stored, so that the tiers' object is even older. */
  readonly meta: ObjectMeta | undefined;
  /** True if the tiers do not have the object yet. */
  readonly isDirty: boolean;
}

/**
 * Decides under the arena's lock whether an operation takes place, from L1's knowledge of the key at that moment
 * (undefined: none). Must be short, must not call L1, and must not keep the encoded key, which is overwritten. It may
 * throw only a VitrineError; then nothing has happened.
 */
export type Decide = (known: Known | undefined, key: EncodedKey) => boolean;

/** A tenant's quota of L1. */
export interface Quota {
  /** Bytes of the arena, metadata and rounding included, as `L1Usage.usedBytes` counts them. */
  readonly limitBytes: number;
  /** True: what would exceed the quota is refused. False: it is admitted, and is the first to leave. */
  readonly isStrict: boolean;
}

/** A quota, and what its tenant uses. */
export interface TenantQuota extends Quota {
  readonly tenant: string;
  /** undefined: the entries from before the quota are still being counted. */
  readonly usedBytes: number | undefined;
}

/** Options of a write reservation. */
export interface WriteRequest {
  readonly key: ObjectKey;
  /** Bytes to reserve now, evicting if necessary; `extend` adds more. */
  readonly sizeBytes: number;
  /** Additional bytes, reserved only if they need no eviction now or in the next maintenance tick (default 0). */
  readonly spareBytes?: number;
  readonly contentType: string;
  /** Base64 SHA-256 or "". */
  readonly sha256: string;
  /** Packed header fields that are kept with the object (core/object.ts). */
  readonly headers?: string | undefined;
  /** Freed when its last read lease ends (default false). */
  readonly temporary?: boolean;
  /**
   * Metadata of an object that is being loaded, with the same size. Readers may follow the staging before it is
   * admitted.
   */
  readonly loading?: ObjectMeta;
  /** Decides whether the memory is still wanted (default: yes). May be called more than once. */
  readonly decide?: Decide;
}

/** A write reservation. Lookups do not see its memory until it is admitted. */
export interface Staging {
  readonly lease: Lease;
  /**
   * The reserved memory in order, at least `sizeBytes` in total. Views over the shared arena, valid until the lease
   * ends.
   */
  readonly extents: readonly Uint8Array[];
}

/**
 * Reasons why a write is not reserved: the same tag already stages the key; there is no room even after eviction, or
 * all stagings together hold their share; the object is above the admission limit; the tenant's strict quota leaves no
 * room for it (never for a load); `decide` declined.
 */
export type WriteRefusal = "staging" | "no_room" | "too_large" | "over_quota" | "unwanted";

/** A read reservation. */
export interface Resident {
  readonly lease: Lease;
  readonly meta: ObjectMeta;
  /**
   * The object's bytes in order, exactly meta.sizeBytes in total. Views over the shared arena, valid until finishRead.
   */
  readonly extents: readonly Uint8Array[];
}

/** Called with an object that was hit: its metadata, and its bytes in order. */
export type UseHit<T> = (meta: ObjectMeta, extents: readonly Uint8Array[]) => T;

/** Limits on dirty objects, over all threads. */
export interface StoreLimits {
  readonly maxEntries: number;
  /** A single larger object is admitted if there is no other. */
  readonly maxBytes: number;
  /** While the oldest has waited longer than this, no other is admitted; 0 (default) = no limit. */
  readonly maxAgeMs?: number;
}

/** Conditions of an admission. */
export interface AdmitConditions {
  /** Limits for an object that the tiers do not have yet. */
  readonly dirty?: StoreLimits | undefined;
  readonly decide?: Decide | undefined;
}

/** A whole object that is not in L1 yet. */
export interface WholeObject {
  readonly key: ObjectKey;
  readonly meta: ObjectMeta;
  /** As many as `meta.sizeBytes`. */
  readonly bytes: Uint8Array;
}

/** Dirty objects. One that is replaced while it is being stored counts until the store ends. */
export interface DirtyUsage {
  readonly entries: number;
  readonly bytes: number;
  /** Entries that a thread is storing. */
  readonly storing: number;
  /** Admission time of the oldest in monotonic milliseconds; undefined if there is none. */
  readonly oldestMs: number | undefined;
}

/** A dirty object that was taken for storing, with the lease that marks it. */
export interface DirtyObject {
  readonly key: ObjectKey;
  readonly resident: Resident;
}

/** A read reservation on an object that is still being loaded. */
export interface Following extends Resident {
  /** Bytes from the start that are present and verified. */
  filledBytes(): number;
  /** loading → done (all bytes present) | failed (no more will come). */
  state(): "loading" | "done" | "failed";
}

/**
 * Outcome of a finished write: admitted; dropped because the key was already resident ("keep" only); dropped because
 * the key was deleted or replaced since the load began; refused because the lease is stale.
 */
export type WriteOutcome = "admitted" | "duplicate" | "superseded" | "stale";

/** The lease of a write and the object's final metadata. */
export interface WriteCommit {
  readonly lease: Lease;
  readonly sizeBytes: number;
  readonly crc32: number;
  readonly version: number;
  readonly createdMs: number;
  readonly expiresMs: number;
  /** Packed header fields in place of those of the WriteRequest, with as many bytes; default: those. */
  readonly headers?: string | undefined;
}

/** Usage of L1, in bytes of the arena. */
export interface L1Usage {
  readonly objects: number;
  readonly maxObjects: number;
  /** Bytes of the arena in use, metadata and rounding included. */
  readonly usedBytes: number;
  readonly capacityBytes: number;
  /** Bytes reserved for writes that are not admitted yet; part of usedBytes. */
  readonly stagingBytes: number;
  /** Bytes of the resident objects themselves. */
  readonly payloadBytes: number;
  /** Number of leases, of which one token may represent several. */
  readonly readLeases: number;
  readonly writeLeases: number;
  /** Number of holds of clients, and the bytes of the arena that their objects take; see `hold`. */
  readonly holds: number;
  readonly heldBytes: number;
  /**
   * Time since the oldest resident was admitted; 0 if there is none. Reads do not matter; a replacement is a new
   * admission, and so is a confirmation.
   */
  readonly oldestAgeSeconds: number;
  /** Number of repairs of the tables after an interrupted critical section. */
  readonly repairs: number;
}

/** A range of one tenant's keys, in the order of their UTF-8 bytes. */
export interface KeyRange {
  readonly tenant: string;
  readonly prefix: string;
  /** Exclusive lower bound; "" = none. */
  readonly after: string;
  /** Inclusive upper bound; undefined = none. */
  readonly through?: string | undefined;
}

/** Recently admitted keys. */
export interface RecentKeys {
  readonly keys: readonly string[];
  /** `L1.admissions` when the keys were collected. */
  readonly admissions: number;
}

/**
 * The memory tier. Everything is synchronous. A batch is atomic for other callers; its results are per key, in request
 * order. Every thread that maps the arena has its own instance and worker id. A dead worker's leases expire
 * together.
 */
export interface L1 {
  /** Size of the largest object that L1 admits, in bytes. */
  readonly admissionLimitBytes: number;
  /**
   * A batch's memory is all or nothing: if it does not fit even after eviction, every key that needed memory is
   * refused. Stagings of a key exclude each other only if they have the same `tag`.
   */
  reserveWrite(requests: readonly WriteRequest[], tag: string): readonly (Staging | WriteRefusal)[];
  /**
   * Grows a staging to at least `sizeBytes` in total, plus spare bytes as in a WriteRequest. Returns the new list of
   * extents (earlier ones unchanged) or the refusal.
   */
  extend(
    lease: Lease,
    sizeBytes: number,
    spareBytes?: number,
  ): readonly Uint8Array[] | "no_room" | "too_large" | "over_quota" | "stale";
  /** True if stagings may take that many more bytes at this moment. Other threads may change that at any time. */
  mayStage(bytes: number): boolean;
  /** Reports to followers of a loading staging that the first `filledBytes` are present and verified. */
  filled(lease: Lease, filledBytes: number): void;
  /**
   * Admits, atomically. A resident object is replaced ("replace": a PUT, which supersedes running loads of the key) or
   * kept ("keep": a load, whose staged copy is dropped). A batch is given head first; its tail is evicted first. Throws
   * length_mismatch, without ending any write, if an object is larger than its memory.
   */
  finishWrite(commits: readonly WriteCommit[], onResident: "replace" | "keep"): readonly WriteOutcome[];
  /**
   * Like finishWrite, and takes `count` read leases in the same step, on the resident copy if the staged one was
   * dropped. Undefined if the write lease is stale or nothing is resident afterwards.
   */
  finishWriteAndReserveRead(
    commits: readonly WriteCommit[],
    onResident: "replace" | "keep",
    count?: number,
  ): readonly (Resident | undefined)[];
  /**
   * Admits one object, which any thread may have staged, and replaces the resident one. With `dirty` limits, it is an
   * object that the tiers do not have yet. L1 keeps it until it was taken and its lease given back; lookups do not see
   * it after it has expired. A delete, clear or newer write removes it as usual. Results other than "admitted" leave
   * the resident object unchanged. Room is checked first, `decide` is called last.
   */
  admit(commit: WriteCommit, conditions: AdmitConditions): "admitted" | "full" | "stale" | "unwanted";
  /**
   * Stages, fills and admits a small object in one step, like `admit`. Room for a dirty object is checked first, then
   * `decide` is called, perhaps more than once; then other objects may be evicted, even if the outcome is "no_room".
   */
  write(
    object: WholeObject,
    conditions: AdmitConditions,
  ): "admitted" | "full" | "unwanted" | "no_room" | "too_large" | "over_quota";
  /** The memory of a live write lease of any thread, as in Staging; undefined if the lease is stale. */
  staging(lease: Lease): readonly Uint8Array[] | undefined;
  /**
   * Takes waiting dirty objects, oldest first, each with a lease without a deadline. Call `finishRead` once the tiers
   * have the object, or have nothing older. If the worker dies before that, the objects wait again.
   */
  takeDirty(most: number): readonly DirtyObject[];
  /** Counts the current objects that the tiers do not have yet, one by one. Takes no lock, like `usage`. */
  dirty(): { readonly objects: number; readonly bytes: number };
  /** Dirty objects that count against the limits. Takes no lock, like `usage`. */
  dirtyUsage(): DirtyUsage;
  /** Frees staged memory without admission; followers see "failed". */
  abort(leases: readonly Lease[]): void;
  /**
   * Reads an object of at most `maxBytes` in one step, without a lock or a lease: calls `use` with its metadata, which
   * is the same for every hit of it, and views of its bytes, valid until `use` returns. `use` must not call L1. Counts
   * as a read. Undefined, without a call of `use`: not found, older than `maxAgeMs` (see `cleanAgeMs`; default: no
   * limit), or a lookup under the lock must decide (`reserveRead`).
   */
  hit<T>(key: ObjectKey, maxBytes: number, use: UseHit<T>, maxAgeMs?: number): T | undefined;
  /**
   * Milliseconds since a clean object was admitted or last confirmed. Undefined: the key is not resident, has expired,
   * or is dirty.
   */
  cleanAgeMs(key: ObjectKey): number | undefined;
  /**
   * Notes that a clean object was found to be current at `monotonicMs`; counts as its admission, but not as an access.
   * False if the key has no clean object of that version.
   */
  confirm(key: ObjectKey, version: number, monotonicMs: number): boolean;
  /**
   * Takes `count` leases on each key, in one token; undefined where the key is not resident or has expired. Throws
   * no_room, without taking any, if the lease table is full.
   */
  reserveRead(keys: readonly ObjectKey[], count?: number): readonly (Resident | undefined)[];
  /** A read lease on an object that a writer stages with `tag` and `loading` metadata; undefined if there is none. */
  follow(key: ObjectKey, tag: string): Following | undefined;
  /**
   * Gives back `count` of each token's read leases. False if the token is stale: already given back, or ended after its
   * deadline. True means that its object was held until now.
   */
  finishRead(leases: readonly Lease[], count?: number): readonly boolean[];
  /**
   * Takes a client's hold on each resident object: it is not evicted before `untilMs`, in monotonic milliseconds, or
   * until it is released. It may still expire, be replaced or deleted. All objects that are held, each as often as it
   * is, take a quarter of the arena at most, and of the lease rows. Counts as no access.
   */
  hold(
    keys: readonly ObjectKey[],
    lease: { readonly holder: Holder; readonly untilMs: number },
  ): readonly HoldOutcome[];
  /** Ends a holder's holds on objects of one tenant, whichever thread took them; returns their number. */
  release(holder: Holder, tenant: string): number;
  /** Extends the deadline of a live lease. False if it is stale. */
  renew(lease: Lease): boolean;
  /** True if a lookup of the key would still find the object of this live read lease. */
  isCurrent(lease: Lease): boolean;
  /** Metadata without a lease; does not count as an access. */
  peek(key: ObjectKey): ObjectMeta | undefined;
  /** True for each key that is resident. Counts as no access. */
  has(keys: readonly ObjectKey[]): readonly boolean[];
  /** Like `peek`, and whether the tiers' object is outdated. Undefined: L1 knows nothing of the key. */
  know(key: ObjectKey): Known | undefined;
  /**
   * Hides objects at once and frees their memory with the last lease. Supersedes running loads of the keys. True where
   * there was an object. `decide` selects what is removed (default: all).
   */
  delete(keys: readonly ObjectKey[], reason?: RemovalReason, decide?: Decide): readonly boolean[];
  /**
   * Removes all objects, or one tenant's; dirty ones only if `which` is "all" (default). Each step removes some and
   * yields their number. Let other work run between steps.
   */
  clear(tenant?: string, which?: "all" | "clean"): Generator<number, void, void>;
  /** Marks keys as recently used without a read. */
  touch(keys: readonly ObjectKey[]): void;
  /** Number of admissions so far, modulo 2^32. */
  readonly admissions: number;
  /**
   * The keys of a range, unordered. Each step looks at some entries, with the range as it is then; a full pass looks at
   * the entries of all tenants. Keys that are present from the first step to the last are found unless they are
   * admitted again meanwhile (see recentKeys). Other keys, and expired ones, may be found.
   */
  keys(range: () => KeyRange): Generator<readonly string[], void, void>;
  /**
   * All present keys of a range that were admitted since `admissions` had the given value, and perhaps others.
   * Undefined if that means looking at more than `most` entries.
   */
  recentKeys(range: KeyRange, admissions: number, most: number): RecentKeys | undefined;
  usage(): L1Usage;
  /**
   * Sets a tenant's quota, or ends it (undefined), for all threads at once. False, and nothing has changed: too many
   * other tenants have one, or the tenant that should lose one has none. Run `settleQuotas` afterwards.
   */
  setQuota(tenant: string, quota: Quota | undefined): boolean;
  /**
   * Counts what tenants stored before they had a quota, or lets go of it. Each step looks at some entries; ticks do the
   * same. Let other work run between steps.
   */
  settleQuotas(): Generator<void, void, void>;
  /** The quotas by tenant, and what is used of them. Takes no lock, like `usage`. */
  quotas(): readonly TenantQuota[];
  /** Bytes that any tenant uses. Each step looks at some entries and yields theirs; let other work run between. */
  usedBy(tenant: string): Generator<number, void, void>;
  /** Throws shutting_down if this thread was declared dead although it still runs. */
  assertAlive(): void;
  /**
   * One maintenance tick: ends expired leases, removes expired objects, then evicts from the high to the low watermark.
   */
  tick(): void;
}
