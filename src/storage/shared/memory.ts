import type { ObjectKey } from "../../core/object.ts";
import type { EncodedKey } from "../../l1/l1.ts";

/** Options of the shared words. */
export interface SharedKeysOptions {
  /** 32 random bits, so that outsiders cannot predict which keys share a stripe. */
  readonly hashSeed: number;
  /** Names this server to other servers (default: a random name). */
  readonly serverId?: string;
  /**
   * Number of stripes: a power of two (default 16 384). Keys of one stripe wait for each other when they change in the
   * tiers.
   */
  readonly stripes?: number;
  /**
   * Number of keys with an outdated, undeletable copy that are remembered before a tier is distrusted (default 65 536).
   */
  readonly maxStaleKeys?: number;
  /** Number of remembered losses: a power of two, at least 8 (default 32 768). */
  readonly losses?: number;
  /** Number of prefetch jobs that may run at the same time, in all threads (default 64). */
  readonly prefetchJobs?: number;
  /** Size of the filter of all keys ever stored: a power of two of bytes, at least 64 (default 4 MiB). */
  readonly storedKeysBytes?: number;
}

/**
 * The memory that all storage managers over one L1 share besides it, allocated once by the main thread and mapped by
 * every worker. It can be posted to a worker as it is.
 */
export interface SharedKeysMemory {
  readonly options: SharedKeysOptions & { readonly serverId: string };
  readonly words: ArrayBufferLike;
}

/** Words of a stripe, and of a stale key. */
export const STRIPE = { busy: 0, sequence: 1, loadTier: 2, words: 4 } as const;
export const STALE = { hash: 0, check: 1, tiers: 2, words: 4 } as const;

/**
 * Words of a remembered loss, and losses per set (`ways`); words of a block of the filter of stored keys, and bits per
 * key.
 */
export const LOSS = { high: 0, low: 1, what: 2, when: 3, check: 4, words: 5, ways: 8 } as const;
export const STORED = { words: 16, bits: 4 } as const;

/** The largest number of keys of a prefetch job. */
export const MAX_JOB_KEYS = 10_000;

/** Words of a prefetch job; `outcomes` has a byte for each key, and the times are float64. */
export const JOB = {
  state: 0,
  worker: 1,
  idHigh: 2,
  idLow: 3,
  ownerHigh: 4,
  ownerLow: 5,
  keys: 6,
  mode: 7,
  /** 1: the worker that ran the job writes here no more. */
  isSettled: 8,
  endedMs: 10,
  /** Wall time; 0: nothing is leased. */
  leaseEndsMs: 12,
  outcomes: 16,
  words: 16 + MAX_JOB_KEYS / 4 + 12,
} as const;

/** Single words in front of the tables. `version` is an int64. */
export const HEAD = {
  version: 0,
  /** The worker id of the thread that is clearing, or 0. */
  clearing: 2,
  /** Added to the sequence number of every stripe. */
  sequence: 3,
  staleKeys: 4,
  distrustedTiers: 5,
  lossesForgotten: 6,
  /** 1: the storage thread was woken and has not looked for dirty objects yet. */
  woken: 7,
  /** 1: a key that the removal history does not know is in no tier. */
  knowsAllKeys: 8,
  /** Number of writes that wait for room at the owner of the tiers. */
  roomWaiters: 9,
  words: 16,
} as const;

/** Sizes and word offsets of the tables; a pure function of the options. */
export interface SharedKeysLayout {
  readonly stripes: number;
  readonly staleRows: number;
  readonly maxStaleKeys: number;
  readonly lossSets: number;
  readonly storedBlocks: number;
  readonly prefetchJobs: number;
  readonly at: {
    readonly stripes: number;
    readonly stale: number;
    readonly losses: number;
    readonly stored: number;
    readonly jobs: number;
  };
  readonly words: number;
}

/** Computes the layout. Throws RangeError on invalid sizes. */
export function planSharedKeys(options: SharedKeysOptions): SharedKeysLayout {
  const { stripes = 16_384, maxStaleKeys = 65_536, losses = 32_768, storedKeysBytes = 4_194_304 } = options;
  const { prefetchJobs = 64 } = options;
  const lossSets = losses / LOSS.ways;
  const storedBlocks = storedKeysBytes / (STORED.words * 4);
  if (!isPowerOfTwo(stripes)) {
    throw new RangeError(`share keys in a power of two of stripes: ${stripes}`);
  }
  if (!isPowerOfTwo(lossSets) || !isPowerOfTwo(storedBlocks)) {
    throw new RangeError(`remember losses in powers of two: ${losses} in ${storedKeysBytes} bytes`);
  }
  // Twice as many rows as keys, so that searches are short.
  const staleRows = 2 ** Math.ceil(Math.log2(2 * Math.max(1, maxStaleKeys)));
  const stripesAt = HEAD.words;
  const stale = stripesAt + stripes * STRIPE.words;
  const lossesAt = stale + staleRows * STALE.words;
  // Aligned to whole blocks, so that each is a cache line.
  const stored = Math.ceil((lossesAt + losses * LOSS.words) / STORED.words) * STORED.words;
  const jobs = stored + storedBlocks * STORED.words;
  const words = jobs + prefetchJobs * JOB.words;
  const at = { stripes: stripesAt, stale, losses: lossesAt, stored, jobs };
  return { stripes, staleRows, maxStaleKeys, lossSets, storedBlocks, prefetchJobs, at, words };
}

function isPowerOfTwo(value: number): boolean {
  return value >= 1 && Number.isInteger(Math.log2(value));
}

/**
 * Allocates zeroed words: shared between threads, or private to this isolate. The system backs their pages when they
 * are first touched.
 */
export function allocateSharedKeys(
  options: SharedKeysOptions,
  sharing: "shared" | "private" = "shared",
): SharedKeysMemory {
  const { serverId = crypto.randomUUID() } = options;
  const bytes = planSharedKeys(options).words * 4;
  const words = sharing === "shared" ? new SharedArrayBuffer(bytes) : new ArrayBuffer(bytes);
  return { options: { ...options, serverId }, words };
}

/**
 * A seeded 64-bit fingerprint of a key's UTF-8 bytes, in two halves that are computed differently. The next `set`
 * overwrites it.
 */
export class Fingerprint {
  readonly #seed: number;
  high = 0;
  low = 0;

  constructor(seed: number) {
    this.#seed = seed;
  }

  /** Returns itself. */
  set({ bytes, tenantLength, length }: EncodedKey): this {
    // The tenant's length keeps ("a", "bc") and ("ab", "c") apart.
    let high = this.#seed ^ Math.imul(tenantLength + 1, 0x9e3779b1);
    let low = ~this.#seed ^ Math.imul(tenantLength + 1, 0x85ebca77);
    for (let i = 0; i < length; i++) {
      const byte = bytes[i] ?? 0;
      // `high` is FNV-1a. `low` rotates in each step, so that its low bits depend on high ones too.
      high = Math.imul(high ^ byte, 0x01000193);
      low = Math.imul(((low << 5) | (low >>> 27)) ^ byte, 0x27d4eb2f);
    }
    this.high = finish(high);
    this.low = finish(low);
    return this;
  }
}

/** murmur3's finalizer. */
function finish(hash: number): number {
  let mixed = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35);
  return mixed ^ (mixed >>> 16);
}

/** A seeded 32-bit hash of an object key: FNV-1a over its UTF-16 units, then murmur3's finalizer. Unsigned. */
export function keyHash(key: ObjectKey, seed: number): number {
  let hash = seed ^ Math.imul(key.tenant.length + 1, 0x9e3779b1);
  for (const text of [key.tenant, key.key]) {
    for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  }
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}
