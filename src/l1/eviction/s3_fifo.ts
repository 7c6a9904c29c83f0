import type { Arena } from "../arena.ts";
import { type EntryTable, FIELD } from "../entry_table.ts";
import { COUNTER } from "../layout.ts";
import { EntryList } from "./entry_list.ts";
import type { EvictionPolicy } from "./policy.ts";

/** The policy word of an entry: reads since it entered its queue (0-3) and the queue. */
const READS = 3;
const IN_MAIN = 4;

/** The small queue's share of the bytes, as in the paper. */
const SMALL_SHARE = 0.1;

/**
 * S3-FIFO (Yang et al., "FIFO queues are all you need for cache eviction", SOSP 2023), with queues measured in bytes.
 * New objects pass a small queue; only those read more than once there, or back soon after they left it (ghost), get into the main one.
 */
export function s3Fifo(arena: Arena, entries: EntryTable, format: boolean): EvictionPolicy {
  const small = new EntryList(arena, entries, 0);
  const main = new EntryList(arena, entries, 1);
  const ghosts = new GhostTable(arena);
  const smallTarget = Math.floor(arena.layout.granules * SMALL_SHARE);
  if (format) {
    small.format();
    main.format();
    ghosts.format();
  }

  const reads = (entry: number) => entries.get(entry, FIELD.policy) & READS;
  const queueOf = (entry: number) => (entries.get(entry, FIELD.policy) & IN_MAIN) === 0 ? small : main;

  function enterMain(entry: number): void {
    entries.set(entry, FIELD.policy, IN_MAIN);
    main.pushHead(entry);
  }

  function victimOfSmall(mayLeave: (entry: number) => boolean): number {
    const entry = small.tail;
    if (reads(entry) > 1) {
      small.remove(entry);
      enterMain(entry);
      return -1;
    }
    if (mayLeave(entry)) return entry;
    small.moveToHead(entry);
    return -1;
  }

  function victimOfMain(mayLeave: (entry: number) => boolean): number {
    const entry = main.tail;
    if (reads(entry) > 0) {
      entries.set(entry, FIELD.policy, IN_MAIN | (reads(entry) - 1));
      main.moveToHead(entry);
      return -1;
    }
    if (mayLeave(entry)) return entry;
    main.moveToHead(entry);
    return -1;
  }

  return {
    admitted(entry) {
      if (ghosts.has(entries.get(entry, FIELD.hash), main.count)) return enterMain(entry);
      entries.set(entry, FIELD.policy, 0);
      small.pushHead(entry);
    },
    touched(entry) {
      if (reads(entry) < 3) entries.set(entry, FIELD.policy, entries.get(entry, FIELD.policy) + 1);
    },
    removed(entry, evicted) {
      const queue = queueOf(entry);
      queue.remove(entry);
      if (evicted && queue === small) ghosts.add(entries.get(entry, FIELD.hash));
    },
    victim(mayLeave) {
      // Every entry passes at most five times (promotion, three reads, itself) before all that remain are leased.
      for (let left = 5 * (small.count + main.count); left > 0; left--) {
        const fromSmall = small.count > 0 && (small.granules > smallTarget || main.count === 0);
        const entry = fromSmall || main.count === 0 ? victimOfSmall(mayLeave) : victimOfMain(mayLeave);
        if (entry !== -1) return entry;
      }
      return -1;
    },
  };
}

/**
 * Which hashes left the small queue lately: a direct-mapped table of hash and time, time counting the ghosts. A ghost is as old as the number
 * of ghosts made since, and counts while that is at most the length of the main queue; nothing is ever deleted.
 */
class GhostTable {
  readonly #w: Int32Array;
  readonly #at: number;
  readonly #mask: number;
  readonly #clock: number;

  constructor(arena: Arena) {
    this.#w = arena.words;
    this.#at = arena.layout.at.ghosts;
    this.#mask = arena.layout.ghosts - 1;
    this.#clock = arena.layout.at.counters + COUNTER.ghostClock;
  }

  format(): void {
    this.#w[this.#clock] = 1;
  }

  add(hash: number): void {
    const now = ((this.#w[this.#clock] ?? 0) + 1) | 0;
    this.#w[this.#clock] = now;
    this.#w[this.#slot(hash)] = hash;
    this.#w[this.#slot(hash) + 1] = now;
  }

  has(hash: number, maxAge: number): boolean {
    const time = this.#w[this.#slot(hash) + 1] ?? 0;
    return time !== 0 && this.#w[this.#slot(hash)] === hash && (((this.#w[this.#clock] ?? 0) - time) | 0) <= maxAge;
  }

  #slot(hash: number): number {
    return this.#at + 2 * (Math.imul(hash, 0x9e3779b1) >>> 0 & this.#mask);
  }
}
