/** How large the shared words are. */
export interface SharedKeysOptions {
  /** 32 random bits, so that nobody outside knows which keys share a stripe. */
  readonly hashSeed: number;
  /** A power of two (default 16 384). Keys of one stripe wait for each other when they change in the tiers. */
  readonly stripes?: number;
  /** How many keys with an outdated, undeletable copy are remembered before a tier is distrusted (default 65 536). */
  readonly maxStaleKeys?: number;
  /** How many losses are remembered: a power of two, at least 8 (default 32 768). */
  readonly ghosts?: number;
  /** Size of the filter of all keys ever stored: a power of two of bytes, at least 64 (default 4 MiB). */
  readonly storedKeysBytes?: number;
}

/**
 * What all storage managers over one L1 share besides it: allocated once by main, mapped by every worker. Can be posted
 * to a worker as it is.
 */
export interface SharedKeysMemory {
  readonly options: SharedKeysOptions;
  readonly words: ArrayBufferLike;
}

/** Words of one stripe; of one stale key. */
export const STRIPE = { busy: 0, sequence: 1, loadTier: 2, words: 4 } as const;
export const STALE = { hash: 0, check: 1, tiers: 2, words: 4 } as const;

/** A remembered loss, in sets of so many; a block of the filter of stored keys, and the bits that a key has in it. */
export const GHOST = { high: 0, low: 1, what: 2, when: 3, check: 4, words: 5, ways: 8 } as const;
export const STORED = { words: 16, bits: 4 } as const;

/** Single words in front of the tables; `version` is an int64. */
export const HEAD = {
  version: 0,
  /** The holder number of the thread that clears, or 0. */
  clearing: 2,
  /** Part of the sequence number of every stripe. */
  sequence: 3,
  staleKeys: 4,
  distrustedTiers: 5,
  ghostsForgotten: 6,
  /** 1: the thread that stores was woken and has not looked yet. */
  woken: 7,
  /** 1: a key that the ghost index does not know is in no tier. */
  knowsAllKeys: 8,
  /** How many writes wait for room at the owner of the tiers. */
  roomWaiters: 9,
  words: 16,
} as const;

/** Where everything lies, in words: a pure function of the options. */
export interface SharedKeysLayout {
  readonly stripes: number;
  readonly staleRows: number;
  readonly maxStaleKeys: number;
  readonly ghostSets: number;
  readonly storedBlocks: number;
  readonly at: {
    readonly stripes: number;
    readonly stale: number;
    readonly ghosts: number;
    readonly stored: number;
  };
  readonly words: number;
}

/** Lays the words out. Throws RangeError on sizes that do not work. */
export function planSharedKeys(options: SharedKeysOptions): SharedKeysLayout {
  const { stripes = 16_384, maxStaleKeys = 65_536, ghosts = 32_768, storedKeysBytes = 4_194_304 } = options;
  const ghostSets = ghosts / GHOST.ways;
  const storedBlocks = storedKeysBytes / (STORED.words * 4);
  if (!isPowerOfTwo(stripes)) {
    throw new RangeError(`share keys in a power of two of stripes: ${stripes}`);
  }
  if (!isPowerOfTwo(ghostSets) || !isPowerOfTwo(storedBlocks)) {
    throw new RangeError(`remember losses in powers of two: ${ghosts} in ${storedKeysBytes} bytes`);
  }
  // Twice as many rows as keys, so that a search ends soon.
  const staleRows = 2 ** Math.ceil(Math.log2(2 * Math.max(1, maxStaleKeys)));
  const stripesAt = HEAD.words;
  const stale = stripesAt + stripes * STRIPE.words;
  const ghostsAt = stale + staleRows * STALE.words;
  // At whole blocks, so that each is a cache line.
  const stored = Math.ceil((ghostsAt + ghosts * GHOST.words) / STORED.words) * STORED.words;
  const words = stored + storedBlocks * STORED.words;
  const at = { stripes: stripesAt, stale, ghosts: ghostsAt, stored };
  return { stripes, staleRows, maxStaleKeys, ghostSets, storedBlocks, at, words };
}

function isPowerOfTwo(value: number): boolean {
  return value >= 1 && Number.isInteger(Math.log2(value));
}

/** Allocates zeroed words: shared between threads, or private to this isolate. Pages are backed when first touched. */
export function allocateSharedKeys(
  options: SharedKeysOptions,
  sharing: "shared" | "private" = "shared",
): SharedKeysMemory {
  const bytes = planSharedKeys(options).words * 4;
  return { options, words: sharing === "shared" ? new SharedArrayBuffer(bytes) : new ArrayBuffer(bytes) };
}
