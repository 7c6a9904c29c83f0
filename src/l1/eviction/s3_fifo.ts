import { SharedTable } from "../../core/shared_table.ts";
import { type Arena, Counters } from "../arena/arena.ts";
import { FIELD, FLAG } from "../arena/entry.ts";
import type { EntryTable } from "../arena/entry_table.ts";
import { COUNTER, GHOST_WORDS } from "../arena/layout.ts";
import { AccountLists } from "../arena/account_lists.ts";
import type { EntryList } from "../arena/entry_list.ts";
import type { EvictionPolicy } from "./policy.ts";

/** Words of a ghost. */
const HASH = 0;
const TIME = 1;

/** Reads since an entry entered its queue are counted up to here. */
const MAX_READS = 3;

/** Entries that one eviction looks at before it ignores reads. Bounds the time under the lock. */
const MAX_LOOKS = 4096;

/**
 * The small queue's share of the resident bytes, as in the paper. It is not a share of the arena, because the limit may
 * be the number of objects.
 */
const SMALL_SHARE = 0.1;

/**
 * S3-FIFO (Yang et al., "FIFO queues are all you need for cache eviction", SOSP 2023), with queues measured in bytes.
 * New objects enter a small queue. Only those that are read more than once there, or admitted again soon after they
 * left it (ghosts), enter the main queue.
 */
export function s3Fifo(arena: Arena, entries: EntryTable, format: boolean): EvictionPolicy {
  const smalls = new AccountLists(arena, entries, 0);
  const mains = new AccountLists(arena, entries, 1);
  const ghosts = new GhostTable(arena);
  if (format) {
    smalls.format();
    mains.format();
    ghosts.format();
  }

  const reads = (entry: number) => entries.get(entry, FIELD.reads);
  const queueOf = (entry: number) => (entries.hasFlag(entry, FLAG.main) ? mains : smalls).ofEntry(entry);

  function enterMain(entry: number): void {
    entries.setFlag(entry, FLAG.main);
    entries.set(entry, FIELD.reads, 0);
    mains.ofEntry(entry).pushHead(entry);
  }

  function touched(entry: number): void {
    const count = reads(entry);
    if (count < MAX_READS) entries.set(entry, FIELD.reads, count + 1);
  }

  /**
   * One round of the small queue. Promotes entries that were read more than once, for MAX_LOOKS entries, and skips
   * those that may not leave.
   */
  function victimOfSmall(small: EntryList, mayLeave: (entry: number) => boolean): number {
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
   * Goes round the main queue and takes one read off an entry each time, until one without reads may leave. After
   * MAX_LOOKS entries, reads no longer protect.
   */
  function victimOfMain(main: EntryList, mayLeave: (entry: number) => boolean): number {
    for (let looks = 0; looks < (MAX_READS + 1) * main.count; looks++) {
      const entry = main.tail;
      if (reads(entry) > 0 && looks < MAX_LOOKS) entries.set(entry, FIELD.reads, reads(entry) - 1);
      else if (mayLeave(entry)) return entry;
      main.moveToHead(entry);
    }
    return -1;
  }

  return {
    admitted(entry) {
      if (ghosts.has(entries.get(entry, FIELD.hash), mains.ofEntry(entry).count)) return enterMain(entry);
      entries.set(entry, FIELD.reads, 0);
      smalls.ofEntry(entry).pushHead(entry);
    },
    touched,
    hit(entry) {
      touched(entry);
      return false;
    },
    settle() {},
    removed(entry, evicted) {
      queueOf(entry).remove(entry);
      if (evicted && !entries.hasFlag(entry, FLAG.main)) ghosts.add(entries.get(entry, FIELD.hash));
    },
    assign(entry, account) {
      queueOf(entry).remove(entry);
      entries.setAccount(entry, account);
      queueOf(entry).pushHead(entry);
    },
    rebuild(residents) {
      smalls.rebuild(residents.filter((entry) => !entries.hasFlag(entry, FLAG.main)));
      mains.rebuild(residents.filter((entry) => entries.hasFlag(entry, FLAG.main)));
    },
    victim(mayLeave, account) {
      const small = smalls.of(account);
      const main = mains.of(account);
      const isSmallDue = small.granules > SMALL_SHARE * (small.granules + main.granules);
      const ofMain = isSmallDue ? -1 : victimOfMain(main, mayLeave);
      if (ofMain !== -1) return ofMain;
      const ofSmall = victimOfSmall(small, mayLeave);
      // No entry left in the small queue may leave, so the main queue must supply the victim.
      return ofSmall === -1 ? victimOfMain(main, mayLeave) : ofSmall;
    },
  };
}

/**
 * Hashes that left the small queue recently: a direct-mapped table of hash and time, where time is the number of
 * ghosts. A ghost's age is the number of ghosts added since. It counts while its age is at most the length of the main
 * queue. Ghosts are never deleted.
 */
class GhostTable {
  readonly #rows: SharedTable;
  readonly #mask: number;
  readonly #counters: Counters;

  constructor(arena: Arena) {
    this.#rows = new SharedTable(arena, arena.layout.at.ghosts, GHOST_WORDS);
    this.#mask = arena.layout.ghosts - 1;
    this.#counters = new Counters(arena);
  }

  format(): void {
    this.#counters.set(COUNTER.ghostClock, 1);
  }

  add(hash: number): void {
    const now = (this.#counters.get(COUNTER.ghostClock) + 1) | 0;
    this.#counters.set(COUNTER.ghostClock, now);
    this.#rows.set(hash & this.#mask, HASH, hash);
    this.#rows.set(hash & this.#mask, TIME, now);
  }

  has(hash: number, maxAge: number): boolean {
    const time = this.#rows.get(hash & this.#mask, TIME);
    return time !== 0 && this.#rows.get(hash & this.#mask, HASH) === hash &&
      ((this.#counters.get(COUNTER.ghostClock) - time) | 0) <= maxAge;
  }
}
