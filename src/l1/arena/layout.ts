/** Bytes of one allocation unit of the arena; every object takes a whole number of them. */
export const GRANULE_BYTES = 64;

/** Bytes of a full segment: 4 GiB, the largest SharedArrayBuffer that Bun allocates. */
const SEGMENT_BYTES = 2 ** 32;

/** Words (32 bit) of one row of the entry, block and lease tables. */
export const ENTRY_WORDS = 32;
export const BLOCK_WORDS = 6;
export const LEASE_WORDS = 10;

/** Words of one list header: head, tail, count, granules. */
export const LIST_WORDS = 4;

/** Largest number of a thread that shares an arena; a thread that replaces another one takes a new number. */
export const MAX_HOLDER = 65_535;

/** Words of a bit for each holder. */
export const FENCE_WORDS = (MAX_HOLDER + 1) / 32;

/** Lists that an eviction policy may use. */
export const POLICY_LISTS = 4;

/**
 * The lists behind these: all residents in the order of their admission; dirty objects that wait, and those that are
 * being stored.
 */
export const LIST = { admissions: POLICY_LISTS, waiting: POLICY_LISTS + 1, storing: POLICY_LISTS + 2 } as const;

/** First-level classes (powers of two) and second-level classes (sixteenths) of the free lists. */
export const FIRST_LEVELS = 27;
export const SECOND_LEVELS = 16;

/** How large the tables of an arena are. */
export interface ArenaOptions {
  /** Bytes for objects, their keys and metadata; rounded down to whole granules. */
  readonly sizeBytes: number;
  readonly maxObjects: number;
  /** Reservations that may be alive at once (default 65 536). */
  readonly maxLeases?: number;
  /** Mixed into the key hash, so that nobody outside knows which keys collide; 32 random bits. */
  readonly hashSeed: number;
  /** Bytes of one segment: a power of two, 4 GiB at most (default). Objects' pieces do not cross segments. */
  readonly segmentBytes?: number;
}

/**
 * Word offsets of everything in the control buffer. A pure function of the options, so every thread computes the same.
 */
export interface ArenaLayout {
  readonly granules: number;
  readonly segmentGranules: number;
  readonly maxObjects: number;
  readonly maxLeases: number;
  readonly maxBlocks: number;
  readonly hashSeed: number;
  readonly buckets: number;
  readonly ghosts: number;
  readonly at: {
    readonly lock: number;
    /** A bit for each holder: declared dead; behind these, a bit for each: its thread has certainly ended. */
    readonly fences: number;
    readonly counters: number;
    readonly freeBits: number;
    readonly freeHeads: number;
    readonly lists: number;
    readonly buckets: number;
    readonly ghosts: number;
    readonly leases: number;
    readonly blocks: number;
    readonly entries: number;
  };
  readonly words: number;
}

/** Shared words that are not part of a table; even numbers first where a float64 lies over two of them. */
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
  /** Granules of free blocks that are long enough to be one piece of several. */
  bigFreeGranules: 10,
  stagingGranules: 11,
  residents: 12,
  /** Read leases: each row counts as many as its token stands for. */
  readLeases: 13,
  writeLeases: 14,
  sweepHand: 15,
  ghostClock: 16,
  /** Sections that were cut off and repaired. */
  repairs: 17,
  /** Admissions so far, modulo 2^32. */
  admissions: 18,
  /** 1 while the loop is on its way from the high to the low watermark. */
  evicting: 19,
  /** Of dirty objects that wait or are being stored; more than 32 bits hold. */
  dirtyBytes: 20,
  words: 22,
} as const;

function powerOfTwoAtLeast(n: number): number {
  return 2 ** Math.ceil(Math.log2(Math.max(2, n)));
}

/**
 * Lays the control buffer out, tables at 128-byte boundaries so that an entry takes two cache lines. Per object it
 * costs at most 128 + 2 * 24 + 8 + 16 = 200 bytes, beside key, metadata and rounding in the arena.
 */
export function planArena(options: ArenaOptions): ArenaLayout {
  const granules = Math.floor(options.sizeBytes / GRANULE_BYTES);
  const maxObjects = options.maxObjects;
  const maxLeases = options.maxLeases ?? 65_536;
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
    freeBits: take(1 + FIRST_LEVELS),
    freeHeads: take(FIRST_LEVELS * SECOND_LEVELS),
    lists: take((LIST.storing + 1) * LIST_WORDS),
    buckets: take(buckets),
    ghosts: take(2 * ghosts),
    leases: take(maxLeases * LEASE_WORDS),
    blocks: take(maxBlocks * BLOCK_WORDS),
    entries: take(maxObjects * ENTRY_WORDS),
  };
  return {
    granules,
    segmentGranules: (options.segmentBytes ?? SEGMENT_BYTES) / GRANULE_BYTES,
    maxObjects,
    maxLeases,
    maxBlocks,
    buckets,
    ghosts,
    hashSeed: options.hashSeed >>> 0,
    at,
    words: next,
  };
}
