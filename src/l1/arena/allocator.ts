import { SharedTable } from "../../core/shared_table.ts";
import type { Arena, Counters } from "./arena.ts";
import { BLOCK_WORDS, COUNTER, FIRST_LEVELS, SECOND_LEVELS } from "./layout.ts";

const NONE = -1;

/** Words of a block row. LENGTH also contains the free bit: length * 2 + free. */
const START = 0;
const LENGTH = 1;
const BEFORE = 2;
const AFTER = 3;
const LINK = 4;
const BACK = 5;

/** Smallest piece of a scattered object, in granules (16 KiB). Smaller objects are contiguous. */
export const MIN_EXTENT_GRANULES = 256;

/** Blocks of the request's own size class that are probed when no larger class has a free one. */
const SAME_CLASS_PROBES = 8;

/**
 * Allocates the arena in blocks; an object is a chain of blocks (extents). Two-level segregated fit (Masmano et al.,
 * "TLSF", ECRTS 2004) with the block headers outside the arena, where no stray write can reach them. If no single free
 * block is large enough, a large request is scattered over several blocks of at least 16 KiB, so that fragmentation
 * does not waste free memory for long. Not locked: the caller holds the arena's lock.
 */
export class Allocator {
  readonly #words: Int32Array;
  readonly #counters: Counters;
  readonly #bits: number;
  readonly #heads: number;
  readonly #blocks: SharedTable;
  readonly #maxBlocks: number;
  readonly #granules: number;
  readonly #segmentGranules: number;

  constructor(arena: Arena, counters: Counters) {
    const { at, maxBlocks, granules, segmentGranules } = arena.layout;
    this.#words = arena.words;
    this.#counters = counters;
    this.#bits = at.freeBits;
    this.#heads = at.freeHeads;
    this.#blocks = new SharedTable(arena, at.blocks, BLOCK_WORDS);
    this.#maxBlocks = maxBlocks;
    this.#granules = granules;
    this.#segmentGranules = segmentGranules;
  }

  /** Makes everything free. Call it only on memory that no other thread uses yet. */
  format(): void {
    this.#counters.set(COUNTER.blocksTop, 0);
    this.rebuild([]);
  }

  /**
   * Rebuilds rows, neighbours and free lists around the blocks that objects own, given in address order and without
   * overlap. Their start, length and link are kept; everything else becomes free.
   */
  rebuild(owned: Iterable<number>): void {
    const w = this.#words;
    w.fill(0, this.#bits, this.#bits + 1 + FIRST_LEVELS);
    w.fill(NONE, this.#heads, this.#heads + FIRST_LEVELS * SECOND_LEVELS);
    this.#counters.set(COUNTER.freeGranules, 0);
    this.#counters.set(COUNTER.bigFreeGranules, 0);
    this.#counters.set(COUNTER.blocksFree, NONE);
    const blocks = [...owned];
    const isOwned = new Uint8Array(this.#counters.get(COUNTER.blocksTop));
    for (const block of blocks) isOwned[block] = 1;
    for (let block = isOwned.length - 1; block >= 0; block--) if (isOwned[block] === 0) this.#dropBlock(block);
    let at = 0;
    for (let from = 0; from < this.#granules; from += this.#segmentGranules) {
      const to = Math.min(from + this.#segmentGranules, this.#granules);
      let before = NONE;
      let end = from;
      for (let block = blocks[at]; block !== undefined && this.start(block) < to; block = blocks[++at]) {
        before = this.#joinRow(block, this.#fillGap(end, this.start(block), before));
        end = this.start(block) + this.length(block);
      }
      const last = this.#fillGap(end, to, before);
      if (last !== NONE) this.#blocks.set(last, AFTER, NONE);
    }
  }

  /**
   * The blocks of a chain; undefined if it is broken: a block is free, outside the arena or across segments, or the
   * chain is endless.
   */
  chainOf(first: number): readonly number[] | undefined {
    const top = this.#counters.get(COUNTER.blocksTop);
    const blocks: number[] = [];
    let granules = 0;
    for (let block = first; block !== NONE; block = this.next(block)) {
      if (!(block >= 0 && block < top)) return undefined;
      const start = this.start(block);
      const last = start + this.length(block) - 1;
      const isInside = start >= 0 && last >= start && last < this.#granules &&
        Math.floor(start / this.#segmentGranules) === Math.floor(last / this.#segmentGranules);
      granules += this.length(block);
      if (!isInside || this.#isFree(block) || granules > this.#granules) return undefined;
      blocks.push(block);
    }
    return blocks.length === 0 ? undefined : blocks;
  }

  /** Allocates a chain of `granules` and returns its first block; -1 if there is no room, and then nothing is taken. */
  allocate(granules: number): number {
    if (granules > this.freeGranules) return NONE;
    const fit = this.#find(granules);
    if (fit !== NONE) return this.#carve(fit, granules);
    if (granules < MIN_EXTENT_GRANULES || this.#counters.get(COUNTER.bigFreeGranules) < granules) return NONE;
    if (!this.#hasSpareBlock()) return NONE;
    let first = NONE;
    let last = NONE;
    for (let left = granules; left > 0;) {
      const fitting = this.#find(left);
      const block = fitting === NONE ? this.#largest() : fitting;
      const taken = Math.min(this.length(block), left);
      this.#carve(block, taken);
      if (first === NONE) first = block;
      else this.#blocks.set(last, LINK, block);
      last = block;
      left -= taken;
    }
    return first;
  }

  /** Appends chain `more` to chain `first`. */
  append(first: number, more: number): void {
    let last = first;
    while (this.next(last) !== NONE) last = this.next(last);
    this.#blocks.set(last, LINK, more);
  }

  /** Cuts a chain to `granules` (at least 1) and frees the rest. */
  shrink(first: number, granules: number): void {
    let block = first;
    let left = granules;
    while (left > this.length(block)) {
      left -= this.length(block);
      block = this.next(block);
    }
    const rest = this.next(block);
    this.#blocks.set(block, LINK, NONE);
    if (rest !== NONE) this.release(rest);
    const surplus = this.length(block) - left;
    if (surplus === 0 || !this.#hasSpareBlock()) return;
    this.#insertFree(this.#mergeNext(this.#splitAt(block, left)));
  }

  /** Frees a whole chain. */
  release(first: number): void {
    for (let block = first; block !== NONE;) {
      const next = this.next(block);
      this.#free(block);
      block = next;
    }
  }

  /** First granule of a block. */
  start(block: number): number {
    return this.#blocks.get(block, START);
  }

  /** Granules of a block. */
  length(block: number): number {
    return this.#blocks.get(block, LENGTH) >>> 1;
  }

  /** The next block of the chain, or -1. */
  next(block: number): number {
    return this.#blocks.get(block, LINK);
  }

  /** Granules of a whole chain. */
  chainLength(first: number): number {
    let granules = 0;
    for (let block = first; block !== NONE; block = this.next(block)) granules += this.length(block);
    return granules;
  }

  get freeGranules(): number {
    return this.#counters.get(COUNTER.freeGranules);
  }

  /** Every block of every segment, in row order. For checks, not for the hot path. */
  *blocks(): Generator<
    { readonly block: number; readonly start: number; readonly length: number; readonly free: boolean }
  > {
    const top = this.#counters.get(COUNTER.blocksTop);
    for (let block = 0; block < top; block++) {
      const length = this.length(block);
      if (length > 0) {
        yield { block, start: this.start(block), length, free: (this.#blocks.get(block, LENGTH) & 1) === 1 };
      }
    }
  }

  /** Adds a free block from `from` to `to` after `before`. Returns it, or `before` if the gap is empty. */
  #fillGap(from: number, to: number, before: number): number {
    if (from === to) return before;
    const gap = this.#joinRow(this.#newBlock(from, to - from, NONE, NONE), before);
    this.#insertFree(gap);
    return gap;
  }

  /** Makes `block` the next neighbour of `before`, and returns `block`. */
  #joinRow(block: number, before: number): number {
    this.#blocks.set(block, BEFORE, before);
    if (before !== NONE) this.#blocks.set(before, AFTER, block);
    return block;
  }

  #hasSpareBlock(): boolean {
    return this.#counters.get(COUNTER.blocksFree) !== NONE || this.#counters.get(COUNTER.blocksTop) < this.#maxBlocks;
  }

  #newBlock(start: number, length: number, before: number, after: number): number {
    let block = this.#counters.get(COUNTER.blocksFree);
    if (block === NONE) {
      block = this.#counters.get(COUNTER.blocksTop);
      this.#counters.add(COUNTER.blocksTop, 1);
    } else {
      this.#counters.set(COUNTER.blocksFree, this.#blocks.get(block, LINK));
    }
    this.#blocks.set(block, START, start);
    this.#blocks.set(block, LENGTH, length * 2);
    this.#blocks.set(block, BEFORE, before);
    this.#blocks.set(block, AFTER, after);
    this.#blocks.set(block, LINK, NONE);
    this.#blocks.set(block, BACK, NONE);
    return block;
  }

  #dropBlock(block: number): void {
    this.#blocks.set(block, LENGTH, 0);
    this.#blocks.set(block, LINK, this.#counters.get(COUNTER.blocksFree));
    this.#counters.set(COUNTER.blocksFree, block);
  }

  /**
   * Takes a free block off its list, cuts it to `granules` and returns it as a chain of one. Cutting needs a spare row.
   */
  #carve(block: number, granules: number): number {
    this.#removeFree(block);
    if (this.length(block) > granules) this.#insertFree(this.#splitAt(block, granules));
    this.#blocks.set(block, LENGTH, granules * 2);
    this.#blocks.set(block, LINK, NONE);
    return block;
  }

  /** Cuts `block` to `granules` and returns the rest as a new block that is in no list. */
  #splitAt(block: number, granules: number): number {
    const after = this.#blocks.get(block, AFTER);
    const rest = this.#newBlock(this.start(block) + granules, this.length(block) - granules, block, after);
    if (after !== NONE) this.#blocks.set(after, BEFORE, rest);
    this.#blocks.set(block, AFTER, rest);
    this.#blocks.set(block, LENGTH, granules * 2 + (this.#blocks.get(block, LENGTH) & 1));
    return rest;
  }

  #free(block: number): void {
    const before = this.#blocks.get(block, BEFORE);
    const merged = before !== NONE && this.#isFree(before) ? this.#joinBefore(before, block) : block;
    this.#insertFree(this.#mergeNext(merged));
  }

  #isFree(block: number): boolean {
    return (this.#blocks.get(block, LENGTH) & 1) === 1;
  }

  #joinBefore(before: number, block: number): number {
    this.#removeFree(before);
    this.#absorb(before, block);
    return before;
  }

  #mergeNext(block: number): number {
    const after = this.#blocks.get(block, AFTER);
    if (after !== NONE && this.#isFree(after)) {
      this.#removeFree(after);
      this.#absorb(block, after);
    }
    return block;
  }

  /** Merges `block` with its neighbour `after`, whose row is dropped. */
  #absorb(block: number, after: number): void {
    const beyond = this.#blocks.get(after, AFTER);
    this.#blocks.set(block, LENGTH, (this.length(block) + this.length(after)) * 2);
    this.#blocks.set(block, AFTER, beyond);
    if (beyond !== NONE) this.#blocks.set(beyond, BEFORE, block);
    this.#dropBlock(after);
  }

  #insertFree(block: number): void {
    const w = this.#words;
    const length = this.length(block);
    const list = classOf(length);
    const head = w[this.#heads + list] ?? NONE;
    this.#blocks.set(block, LENGTH, length * 2 + 1);
    this.#blocks.set(block, LINK, head);
    this.#blocks.set(block, BACK, NONE);
    if (head !== NONE) this.#blocks.set(head, BACK, block);
    w[this.#heads + list] = block;
    const first = list >>> 4;
    w[this.#bits] = (w[this.#bits] ?? 0) | (1 << first);
    w[this.#bits + 1 + first] = (w[this.#bits + 1 + first] ?? 0) | (1 << (list & 15));
    this.#counters.add(COUNTER.freeGranules, length);
    if (length >= MIN_EXTENT_GRANULES) this.#counters.add(COUNTER.bigFreeGranules, length);
  }

  #removeFree(block: number): void {
    const length = this.length(block);
    const next = this.#blocks.get(block, LINK);
    const back = this.#blocks.get(block, BACK);
    if (next !== NONE) this.#blocks.set(next, BACK, back);
    if (back !== NONE) this.#blocks.set(back, LINK, next);
    else this.#setHead(classOf(length), next);
    this.#blocks.set(block, LENGTH, length * 2);
    this.#counters.add(COUNTER.freeGranules, -length);
    if (length >= MIN_EXTENT_GRANULES) this.#counters.add(COUNTER.bigFreeGranules, -length);
  }

  #setHead(list: number, block: number): void {
    const w = this.#words;
    w[this.#heads + list] = block;
    if (block !== NONE) return;
    const first = list >>> 4;
    const bits = (w[this.#bits + 1 + first] ?? 0) & ~(1 << (list & 15));
    w[this.#bits + 1 + first] = bits;
    if (bits === 0) w[this.#bits] = (w[this.#bits] ?? 0) & ~(1 << first);
  }

  /** A free block of at least `granules`; -1 if there is none, or none that can be cut to size. */
  #find(granules: number): number {
    const block = this.#headFrom(classAbove(granules));
    const fit = block === NONE ? this.#probeClass(granules) : block;
    if (fit === NONE || this.length(fit) === granules || this.#hasSpareBlock()) return fit;
    return NONE;
  }

  #probeClass(granules: number): number {
    let block = this.#words[this.#heads + classOf(granules)] ?? NONE;
    for (let probe = 0; probe < SAME_CLASS_PROBES && block !== NONE; probe++) {
      if (this.length(block) >= granules) return block;
      block = this.next(block);
    }
    return NONE;
  }

  #headFrom(list: number): number {
    const w = this.#words;
    let first = list >>> 4;
    if (first >= FIRST_LEVELS) return NONE;
    let seconds = (w[this.#bits + 1 + first] ?? 0) & (-1 << (list & 15));
    if (seconds === 0) {
      const firsts = (w[this.#bits] ?? 0) & (-2 << first);
      if (firsts === 0) return NONE;
      first = lowestBit(firsts);
      seconds = w[this.#bits + 1 + first] ?? 0;
    }
    return w[this.#heads + first * SECOND_LEVELS + lowestBit(seconds)] ?? NONE;
  }

  #largest(): number {
    const w = this.#words;
    const first = 31 - Math.clz32(w[this.#bits] ?? 0);
    const second = 31 - Math.clz32(w[this.#bits + 1 + first] ?? 0);
    return w[this.#heads + first * SECOND_LEVELS + second] ?? NONE;
  }
}

/** The free list for blocks of this length. */
function classOf(granules: number): number {
  if (granules < SECOND_LEVELS) return granules;
  const power = 31 - Math.clz32(granules);
  return (power - 3) * SECOND_LEVELS + ((granules >>> (power - 4)) & 15);
}

/** The first free list in which all blocks are at least this long. */
function classAbove(granules: number): number {
  if (granules < SECOND_LEVELS) return granules;
  const step = 1 << (27 - Math.clz32(granules));
  return classOf(granules + step - 1);
}

/** Index of the lowest set bit; -1 if no bit is set. */
function lowestBit(bits: number): number {
  return 31 - Math.clz32(bits & -bits);
}
