import { LOSS_REASONS, type LossReason } from "../../core/events.ts";
import type { Fingerprint } from "./fingerprint.ts";
import { GHOST, HEAD, type SharedKeysLayout } from "./memory.ts";

/** The loss of a copy. */
export interface Loss {
  /** 0 = L1, n = the n-th tier. */
  readonly tier: number;
  readonly reason: LossReason;
  /** Whole monotonic milliseconds: the order of two losses must not depend on the wall clock. */
  readonly atMs: number;
}

const HIGH_WORD = 2 ** 32;

/**
 * The remembered losses: for each key and tier the last one, until its set is full and it is the oldest there. Shared
 * by all threads without a lock: a row that two threads wrote at once, or that a dying one left half-written, does not
 * match its check word and counts as empty.
 */
export class GhostTable {
  readonly #words: Int32Array;
  readonly #layout: SharedKeysLayout;

  constructor(words: Int32Array, layout: SharedKeysLayout) {
    this.#words = words;
    this.#layout = layout;
  }

  /** Number of losses overwritten by those of other keys; wraps at 2^32. */
  get forgotten(): number {
    return Atomics.load(this.#words, HEAD.ghostsForgotten) >>> 0;
  }

  add(print: Fingerprint, { tier, reason, atMs }: Loss): void {
    const code = LOSS_REASONS.indexOf(reason) + 1;
    const what = (Math.floor(atMs / HIGH_WORD) << 9) | (tier << 4) | code;
    const when = Math.floor(atMs % HIGH_WORD) | 0;
    const { row, forgets } = this.#rowFor(print, tier);
    const words = this.#words;
    words[row + GHOST.high] = print.high;
    words[row + GHOST.low] = print.low;
    words[row + GHOST.what] = what;
    words[row + GHOST.when] = when;
    Atomics.store(words, row + GHOST.check, checkOf(print.high, print.low, what, when));
    if (forgets) Atomics.add(words, HEAD.ghostsForgotten, 1);
  }

  /** The last remembered loss of the key in each tier, unordered. */
  find(print: Fingerprint): readonly Loss[] {
    const losses: Loss[] = [];
    for (let row = this.#setOf(print), way = 0; way < GHOST.ways; way++, row += GHOST.words) {
      const loss = this.#read(row);
      if (loss?.high === print.high && loss.low === print.low) losses.push(lossOf(loss));
    }
    return losses;
  }

  /** The row to write: that of this key and tier, otherwise an empty one, otherwise the oldest of the set. */
  #rowFor(print: Fingerprint, tier: number): { readonly row: number; readonly forgets: boolean } {
    let empty: number | undefined;
    let oldest = { row: this.#setOf(print), atMs: Infinity };
    for (let row = this.#setOf(print), way = 0; way < GHOST.ways; way++, row += GHOST.words) {
      const found = this.#read(row);
      if (found === undefined) empty ??= row;
      else {
        const loss = lossOf(found);
        if (found.high === print.high && found.low === print.low && loss.tier === tier) return { row, forgets: false };
        if (loss.atMs < oldest.atMs) oldest = { row, atMs: loss.atMs };
      }
    }
    return empty === undefined ? { row: oldest.row, forgets: true } : { row: empty, forgets: false };
  }

  #setOf({ low }: Fingerprint): number {
    return this.#layout.at.ghosts + (low & (this.#layout.ghostSets - 1)) * GHOST.ways * GHOST.words;
  }

  /** undefined: the row is empty or incomplete. */
  #read(row: number): Row | undefined {
    const words = this.#words;
    const check = Atomics.load(words, row + GHOST.check);
    const high = words[row + GHOST.high] ?? 0;
    const low = words[row + GHOST.low] ?? 0;
    const what = words[row + GHOST.what] ?? 0;
    const when = words[row + GHOST.when] ?? 0;
    return what !== 0 && check === checkOf(high, low, what, when) ? { high, low, what, when } : undefined;
  }
}

interface Row {
  readonly high: number;
  readonly low: number;
  readonly what: number;
  readonly when: number;
}

function lossOf({ what, when }: Row): Loss {
  return {
    tier: (what >>> 4) & 31,
    reason: LOSS_REASONS[(what & 15) - 1] ?? "expired",
    atMs: (what >>> 9) * HIGH_WORD + (when >>> 0),
  };
}

/** Each word is mixed in differently, so that words from two rows match only by a chance of 1 in 2^32. */
function checkOf(high: number, low: number, what: number, when: number): number {
  let check = Math.imul(high ^ 0x2545f491, 0x9e3779b1);
  check = Math.imul((check ^ (check >>> 15)) + low, 0x85ebca6b);
  check = Math.imul((check ^ (check >>> 13)) + what, 0xc2b2ae35);
  check = Math.imul((check ^ (check >>> 16)) + when, 0x27d4eb2f);
  return check ^ (check >>> 15);
}
