import type { Arena } from "../arena/arena.ts";
import { type EntryTable, FIELD } from "../arena/entry_table.ts";
import { COUNTER } from "../arena/layout.ts";
import { EntryList } from "./entry_list.ts";
import type { EvictionPolicy } from "./policy.ts";

/** The policy word of an entry: reads since it entered its queue (0-3) and the queue. */
const READS = 3;
const IN_MAIN = 4;

/**
 * Entries that one eviction looks at before it spares nobody for having been read: it happens under a lock that others
 * need.
 */
const MAX_LOOKS = 4096;

/**
 * The small queue's share of the bytes that are resident (not of the arena: the limit may be the number of objects), as
 * in the paper.
 */
const SMALL_SHARE = 0.1;

/**
 * S3-FIFO (Yang et al., "FIFO queues are all you need for cache eviction", SOSP 2023), with queues measured in bytes.
 * New objects pass a small queue; only those read more than once there, or back soon after they left it (ghost), get
 * into the main one.
 */
export function s3Fifo(arena: Arena, entries: EntryTable, format: boolean): EvictionPolicy {
  const small = new EntryList(arena, entries, 0);
  const main = new EntryList(arena, entries, 1);
  const ghosts = new GhostTable(arena);
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

  /**
   * One round of the small queue: promotes what was read more than once (after many looks nothing more), passes by what
   * is leased.
   */
  function victimOfSmall(mayLeave: (entry: number) => boolean): number {
    const count = small.count;
    for (let looks = 0; looks < count; looks++) {
      const entry = small.tail;
      if (reads(entry) > 1 && looks < MAX_LOOKS) {
        small.remove(entry);
        enterMain(entry);
      } else if (mayLeave(entry)) return entry;
      else small.moveToHead(entry);
    }
    return -1;
  }

  /**
   * Rounds of the main queue until every entry's reads are used up, each round one; after many looks whoever may leave.
   */
  function victimOfMain(mayLeave: (entry: number) => boolean): number {
    for (let looks = 0; looks < (READS + 1) * main.count; looks++) {
      const entry = main.tail;
      if (reads(entry) > 0 && looks < MAX_LOOKS) entries.set(entry, FIELD.policy, IN_MAIN | (reads(entry) - 1));
      else if (mayLeave(entry)) return entry;
      main.moveToHead(entry);
    }
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
    rebuild(residents) {
      for (const queue of [small, main]) queue.rebuild(residents.filter((entry) => queueOf(entry) === queue));
    },
    victim(mayLeave) {
      const ofMain = small.granules > SMALL_SHARE * (small.granules + main.granules) ? -1 : victimOfMain(mayLeave);
      if (ofMain !== -1) return ofMain;
      const ofSmall = victimOfSmall(mayLeave);
      // Where all that stays in the small queue is leased, the main one must give.
      return ofSmall === -1 ? victimOfMain(mayLeave) : ofSmall;
    },
  };
}

/**
 * Which hashes left the small queue lately: a direct-mapped table of hash and time, time counting the ghosts. A ghost
 * is as old as the number of ghosts made since, and counts while that is at most the length of the main queue; nothing
 * is ever deleted.
 */
class GhostTable {
  readonly #words: Int32Array;
  readonly #at: number;
  readonly #mask: number;
  readonly #clock: number;

  constructor(arena: Arena) {
    this.#words = arena.words;
    this.#at = arena.layout.at.ghosts;
    this.#mask = arena.layout.ghosts - 1;
    this.#clock = arena.layout.at.counters + COUNTER.ghostClock;
  }

  format(): void {
    this.#words[this.#clock] = 1;
  }

  add(hash: number): void {
    const now = ((this.#words[this.#clock] ?? 0) + 1) | 0;
    this.#words[this.#clock] = now;
    this.#words[this.#slot(hash)] = hash;
    this.#words[this.#slot(hash) + 1] = now;
  }

  has(hash: number, maxAge: number): boolean {
    const time = this.#words[this.#slot(hash) + 1] ?? 0;
    return time !== 0 && this.#words[this.#slot(hash)] === hash &&
      (((this.#words[this.#clock] ?? 0) - time) | 0) <= maxAge;
  }

  #slot(hash: number): number {
    return this.#at + 2 * (hash & this.#mask);
  }
}
