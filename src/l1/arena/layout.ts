import { MAX_TENANT_BYTES } from "../../core/object.ts";

/** Bytes of the arena's allocation unit. Every object takes a whole number of them. */
export const GRANULE_BYTES = 64;

/** Bytes of a full segment: 4 GiB, the largest SharedArrayBuffer that Bun allocates. */
const SEGMENT_BYTES = 2 ** 32;

/** Words (32 bits) of a row in the entry, block, lease and ghost tables. */
export const ENTRY_WORDS = 32;
export const BLOCK_WORDS = 6;
export const LEASE_WORDS = 12;
export const GHOST_WORDS = 2;

/** Threads that may announce hits at the same time; others read under the lock. */
export const MAX_HITTERS = 256;

/** Words of a row of the hit table: two cache lines, because processors fetch them in pairs. */
export const HITTER_WORDS = 32;

/** Tenants that may have a quota, unless the arena's options say otherwise. */
export const MAX_QUOTAS = 1024;

/** Words of a row of the quota table: eight of numbers, and the tenant. */
export const QUOTA_WORDS = 8 + MAX_TENANT_BYTES / 4;

/** Words of one list header: head, tail, count, granules. */
export const LIST_WORDS = 4;

/** Largest worker id. A thread that replaces another one takes a new one. */
export const MAX_WORKER_ID = 65_535;

/** Words of a bitmap with one bit per worker. */
export const FENCE_WORDS = (MAX_WORKER_ID + 1) / 32;

/** Number of lists that an eviction policy may use, and that it may use for each tenant with a quota. */
export const POLICY_LISTS = 2;

/**
 * The other lists: all residents in admission order, dirty objects that wait, and dirty objects that are being stored.
 */
export const LIST = { admissions: POLICY_LISTS, waiting: POLICY_LISTS + 1, storing: POLICY_LISTS + 2 } as const;

/** Number of the policy's list `list` of an account: 0 for the tenants without a quota. */
export function policyList(account: number, list: number): number {
  return account === 0 ? list : LIST.storing + 1 + (account - 1) * POLICY_LISTS + list;
}

/** First-level size classes (powers of two) and second-level classes (sixteenths) of the free lists. */
export const FIRST_LEVELS = 27;
export const SECOND_LEVELS = 16;

/** Sizes of an arena and its tables. */
export interface ArenaOptions {
  /** Bytes for objects, their keys and metadata. Rounded down to whole granules. */
  readonly sizeBytes: number;
  readonly maxObjects: number;
  /** Maximum number of live reservations (default 65 536). */
  readonly maxLeases?: number;
  /** Maximum number of tenants with a quota (default MAX_QUOTAS). */
  readonly maxQuotas?: number;
  /** 32 random bits that are mixed into the key hash, so that outsiders cannot predict which keys collide. */
  readonly hashSeed: number;
  /** Bytes of a segment: a power of two, at most 4 GiB (the default). Blocks do not cross segments. */
  readonly segmentBytes?: number;
}

/** Word offsets in the control buffer. A pure function of the options, so that every thread computes the same ones. */
export interface ArenaLayout {
  readonly granules: number;
  readonly segmentGranules: number;
  readonly maxObjects: number;
  readonly maxLeases: number;
  readonly maxQuotas: number;
  readonly maxBlocks: number;
  readonly hashSeed: number;
  readonly buckets: number;
  readonly ghosts: number;
  readonly at: {
    readonly lock: number;
    /** Two bitmaps with one bit per worker: declared dead, then thread certainly ended. */
    readonly fences: number;
    readonly counters: number;
    readonly hitters: number;
    readonly freeBits: number;
    readonly freeHeads: number;
    readonly lists: number;
    readonly buckets: number;
    readonly ghosts: number;
    readonly leases: number;
    readonly quotas: number;
    readonly blocks: number;
    readonly entries: number;
  };
  readonly words: number;
}

/** Shared words outside the tables. A float64 takes two words and has an even number. */
export const COUNTER = {
  payloadBytes: 0,
  entriesTop: 2,
  entriesFree: 3,
  blocksTop: 4,
  blocksFree: 5,
  leasesTop: 6,
  leasesFree: 7,
  /** Lease rows in use. */
  leaseRows: 8,
  freeGranules: 9,
  /** Granules of free blocks that are long enough to be a piece of a scattered object. */
  bigFreeGranules: 10,
  stagingGranules: 11,
  residents: 12,
  /** Read leases. A row counts as many as its token represents. */
  readLeases: 13,
  writeLeases: 14,
  sweepHand: 15,
  ghostClock: 16,
  /** Number of repairs of the tables. */
  repairs: 17,
  /** Number of admissions, modulo 2^32. */
  admissions: 18,
  /** 1 while eviction is on its way from the high to the low watermark. */
  evicting: 19,
  /** Bytes of dirty objects that wait or are being stored. A float64, because 32 bits are too few. */
  dirtyBytes: 20,
  /** One above the highest row of the hit table ever used. */
  hittersTop: 22,
  /** Leases of clients, and the granules of their objects; an object counts once for each lease. */
  holds: 23,
  heldGranules: 24,
  /** One above the highest row of the quota table ever used. */
  quotasTop: 25,
  /** Counts the changes of the tenants that have rows there. */
  quotasVersion: 26,
  words: 28,
} as const;

function powerOfTwoAtLeast(n: number): number {
  return 2 ** Math.ceil(Math.log2(Math.max(2, n)));
}

/**
 * Lays out the control buffer. Tables start at 128-byte boundaries, so that an entry takes two cache lines. An object
 * costs at most 128 + 2 * 24 + 8 + 16 = 200 bytes here, plus key, metadata and rounding in the arena.
 */
export function planArena(options: ArenaOptions): ArenaLayout {
  const granules = Math.floor(options.sizeBytes / GRANULE_BYTES);
  const maxObjects = options.maxObjects;
  const maxLeases = options.maxLeases ?? 65_536;
  const maxQuotas = options.maxQuotas ?? MAX_QUOTAS;
  const maxBlocks = 2 * maxObjects + 64;
  const buckets = powerOfTwoAtLeast(maxObjects);
  const ghosts = powerOfTwoAtLeast(maxObjects);
  let next = 0;
  const take = (words: number): number => {
    const start = next;
    next += Math.ceil(words / 32) * 32;
    return start;
  };
  const at = {
    lock: take(16),
    fences: take(2 * FENCE_WORDS),
    counters: take(COUNTER.words),
    hitters: take(MAX_HITTERS * HITTER_WORDS),
    freeBits: take(1 + FIRST_LEVELS),
    freeHeads: take(FIRST_LEVELS * SECOND_LEVELS),
    lists: take(policyList(maxQuotas + 1, 0) * LIST_WORDS),
    buckets: take(buckets),
    ghosts: take(ghosts * GHOST_WORDS),
    leases: take(maxLeases * LEASE_WORDS),
    quotas: take(maxQuotas * QUOTA_WORDS),
    blocks: take(maxBlocks * BLOCK_WORDS),
    entries: take(maxObjects * ENTRY_WORDS),
  };
  return {
    granules,
    segmentGranules: (options.segmentBytes ?? SEGMENT_BYTES) / GRANULE_BYTES,
    maxObjects,
    maxLeases,
    maxQuotas,
    maxBlocks,
    buckets,
    ghosts,
    hashSeed: options.hashSeed >>> 0,
    at,
    words: next,
  };
}
