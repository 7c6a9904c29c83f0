import type { Clock } from "../../core/clock.ts";
import { LOSS_REASONS, type LossReason } from "../../core/events.ts";
import type { ObjectKey } from "../../core/object.ts";
import { SharedTable, viewWords } from "../../core/shared_table.ts";
import { KeyBytes } from "../../l1/arena/key_bytes.ts";
import type { EncodedKey, L1RemovalListener } from "../../l1/l1.ts";
import type { TierRemovalReason } from "../../l2/adapter.ts";
import {
  Fingerprint,
  HEAD,
  LOSS,
  planSharedKeys,
  type SharedKeysLayout,
  type SharedKeysMemory,
  STORED,
} from "./memory.ts";

/** The loss of a copy. */
export interface Loss {
  /** 0 = L1, n = the n-th tier. */
  readonly tier: number;
  readonly reason: LossReason;
  /** Whole monotonic milliseconds: the order of two losses must not depend on the wall clock. */
  readonly atMs: number;
}

/** The removal history of one key. */
interface KeyHistory {
  /** The last remembered loss in each tier, unordered. */
  readonly losses: readonly Loss[];
  /** False: the key was certainly neither stored nor lost since the server started. */
  readonly wasStored: boolean;
}

/** A remembered loss as it is in memory. */
interface Row {
  readonly high: number;
  readonly low: number;
  readonly what: number;
  readonly when: number;
}

const HIGH_WORD = 2 ** 32;

/**
 * The removal history, shared by all threads: it remembers how objects left, which explains a miss. A loss says nothing
 * about the present: the key may have been stored again since.
 *
 * Losses are in a table: for each key and tier the last one, until its set is full and it is the oldest there. The
 * table has no lock: a row that two threads wrote at once, or that a dying one left half-written, does not match its
 * check word and counts as empty.
 *
 * The keys that were ever stored or lost are in a Bloom filter (Bloom 1970) in which the bits of a key share a cache
 * line (Putze et al. 2007). It has false positives but no false negatives, and no bit is ever cleared.
 */
export class RemovalHistory {
  readonly #words: Int32Array;
  readonly #rows: SharedTable;
  readonly #layout: SharedKeysLayout;
  readonly #key: KeyBytes;
  readonly #print: Fingerprint;

  constructor({ words, options }: SharedKeysMemory) {
    const view = viewWords(words);
    this.#layout = planSharedKeys(options);
    this.#words = view.words;
    this.#rows = new SharedTable(view, this.#layout.at.losses, LOSS.words);
    this.#key = new KeyBytes(options.hashSeed);
    this.#print = new Fingerprint(options.hashSeed);
  }

  /** Number of losses overwritten by those of other keys; wraps at 2^32. */
  get forgotten(): number {
    return Atomics.load(this.#words, HEAD.lossesForgotten) >>> 0;
  }

  /**
   * Must be called before the key becomes visible. If a thread dies in between, no visible key counts as never stored.
   */
  storing(key: ObjectKey): void {
    this.#addToFilter(this.#printOf(key));
  }

  /** Like `storing`, for a key in UTF-8, as L1 has it. */
  storingEncoded(key: EncodedKey): void {
    this.#addToFilter(this.#print.set(key));
  }

  lost(key: ObjectKey, loss: Loss): void {
    this.#key.set(key);
    this.lostEncoded(this.#key, loss);
  }

  /** Like `lost`, for a key in UTF-8, as L1 has it. */
  lostEncoded(key: EncodedKey, loss: Loss): void {
    const print = this.#print.set(key);
    // Added first: a loss that is later forgotten, or half-written, leaves at least this.
    this.#addToFilter(print);
    this.#write(print, loss);
  }

  /** False: the key was certainly neither stored nor lost. */
  knows(key: ObjectKey): boolean {
    return this.#isInFilter(this.#printOf(key));
  }

  recall(key: ObjectKey): KeyHistory {
    const print = this.#printOf(key);
    const losses: Loss[] = [];
    const first = this.#setOf(print);
    for (let at = first; at < first + LOSS.ways; at++) {
      const row = this.#read(at);
      if (row?.high === print.high && row.low === print.low) losses.push(lossOf(row));
    }
    return { losses, wasStored: this.#isInFilter(print) };
  }

  #printOf(key: ObjectKey): Fingerprint {
    this.#key.set(key);
    return this.#print.set(this.#key);
  }

  #addToFilter(print: Fingerprint): void {
    for (let i = 0; i < STORED.bits; i++) {
      const word = this.#filterWord(print, i);
      const bit = filterBit(print, i);
      if ((Atomics.load(this.#words, word) & bit) === 0) Atomics.or(this.#words, word, bit);
    }
  }

  #isInFilter(print: Fingerprint): boolean {
    for (let i = 0; i < STORED.bits; i++) {
      if ((Atomics.load(this.#words, this.#filterWord(print, i)) & filterBit(print, i)) === 0) return false;
    }
    return true;
  }

  /**
   * Each bit has a quarter of the block. There, two bits of the fingerprint's lower half choose the word, and five the
   * bit.
   */
  #filterWord({ high, low }: Fingerprint, i: number): number {
    const block = this.#layout.at.stored + (high & (this.#layout.storedBlocks - 1)) * STORED.words;
    return block + i * (STORED.words / STORED.bits) + ((low >>> (i * 8)) & 3);
  }

  #write(print: Fingerprint, { tier, reason, atMs }: Loss): void {
    const code = LOSS_REASONS.indexOf(reason) + 1;
    const what = (Math.floor(atMs / HIGH_WORD) << 9) | (tier << 4) | code;
    const when = Math.floor(atMs % HIGH_WORD) | 0;
    const { at, forgets } = this.#rowFor(print, tier);
    const rows = this.#rows;
    rows.set(at, LOSS.high, print.high);
    rows.set(at, LOSS.low, print.low);
    rows.set(at, LOSS.what, what);
    rows.set(at, LOSS.when, when);
    rows.store(at, LOSS.check, checkOf({ high: print.high, low: print.low, what, when }));
    if (forgets) Atomics.add(this.#words, HEAD.lossesForgotten, 1);
  }

  /** The row to write: that of this key and tier, otherwise an empty one, otherwise the oldest of the set. */
  #rowFor(print: Fingerprint, tier: number): { readonly at: number; readonly forgets: boolean } {
    let empty: number | undefined;
    let oldest = { at: 0, atMs: Infinity };
    const first = this.#setOf(print);
    for (let at = first; at < first + LOSS.ways; at++) {
      const row = this.#read(at);
      if (row === undefined) {
        empty ??= at;
        continue;
      }
      const loss = lossOf(row);
      if (row.high === print.high && row.low === print.low && loss.tier === tier) return { at, forgets: false };
      if (loss.atMs < oldest.atMs) oldest = { at, atMs: loss.atMs };
    }
    return empty === undefined ? { at: oldest.at, forgets: true } : { at: empty, forgets: false };
  }

  /** The first row of the key's set. */
  #setOf({ low }: Fingerprint): number {
    return (low & (this.#layout.lossSets - 1)) * LOSS.ways;
  }

  /** undefined: the row is empty or incomplete. */
  #read(at: number): Row | undefined {
    const rows = this.#rows;
    const check = rows.load(at, LOSS.check);
    const row = {
      high: rows.get(at, LOSS.high),
      low: rows.get(at, LOSS.low),
      what: rows.get(at, LOSS.what),
      when: rows.get(at, LOSS.when),
    };
    return row.what !== 0 && check === checkOf(row) ? row : undefined;
  }
}

function filterBit({ low }: Fingerprint, i: number): number {
  return 1 << ((low >>> (i * 8 + 2)) & 31);
}

function lossOf({ what, when }: Row): Loss {
  return {
    tier: (what >>> 4) & 31,
    reason: LOSS_REASONS[(what & 15) - 1] ?? "expired",
    atMs: (what >>> 9) * HIGH_WORD + (when >>> 0),
  };
}

/** Each word is mixed in differently, so that words from two rows match only by a chance of 1 in 2^32. */
function checkOf({ high, low, what, when }: Row): number {
  let check = Math.imul(high ^ 0x2545f491, 0x9e3779b1);
  check = Math.imul((check ^ (check >>> 15)) + low, 0x85ebca6b);
  check = Math.imul((check ^ (check >>> 13)) + what, 0xc2b2ae35);
  check = Math.imul((check ^ (check >>> 16)) + when, 0x27d4eb2f);
  return check ^ (check >>> 15);
}

/** Removal listeners for L1 and the tiers. */
export interface RemovalListeners {
  readonly l1: L1RemovalListener;
  /** `tier`: its index, from 0. */
  readonly tier: (tier: number, key: ObjectKey, reason: TierRemovalReason) => void;
}

/** Adds removals from L1, and those that the tiers make on their own, to the removal history. */
export function removalListeners(history: RemovalHistory, clock: Clock): RemovalListeners {
  return {
    l1: (key, reason) => {
      // Not a loss: another object replaced it, or it was to leave with its last reader.
      if (reason === "replaced" || reason === "temporary") return;
      history.lostEncoded(key, { tier: 0, reason, atMs: clock.monotonicMs() });
    },
    tier: (tier, key, reason) => {
      // Deletions are our own; Tier records their reason.
      if (reason === "replaced" || reason === "deleted") return;
      history.lost(key, { tier: tier + 1, reason, atMs: clock.monotonicMs() });
    },
  };
}
