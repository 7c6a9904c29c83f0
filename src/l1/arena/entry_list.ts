import { SharedTable } from "../../core/shared_table.ts";
import type { Arena } from "./arena.ts";
import { FIELD } from "./entry.ts";
import type { EntryTable } from "./entry_table.ts";
import { LIST_WORDS } from "./layout.ts";

const NONE = -1;
const HEAD = 0;
const TAIL = 1;
const COUNT = 2;
const GRANULES = 3;

/** Attempts of a lock-free read of the oldest entry. */
const LOOKS = 8;

/** The two words that link an entry into a list. */
export interface Links {
  readonly newer: number;
  readonly older: number;
}

/**
 * A doubly linked list of entries in shared memory, newest at the head. An entry is in at most one list per pair of
 * links.
 */
export class EntryList {
  readonly #lists: SharedTable;
  readonly #number: number;
  readonly #entries: EntryTable;
  readonly #links: Links;

  /** `number`: index of the list header in the arena. `links` defaults to the eviction policy's. */
  constructor(arena: Arena, entries: EntryTable, number: number, links: Links = FIELD) {
    this.#lists = new SharedTable(arena, arena.layout.at.lists, LIST_WORDS);
    this.#number = number;
    this.#entries = entries;
    this.#links = links;
  }

  format(): void {
    this.#lists.set(this.#number, HEAD, NONE);
    this.#lists.set(this.#number, TAIL, NONE);
    this.#lists.set(this.#number, COUNT, 0);
    this.#lists.set(this.#number, GRANULES, 0);
  }

  /** The newest entry, or -1. */
  get head(): number {
    return this.#lists.get(this.#number, HEAD);
  }

  /** The oldest entry, or -1. */
  get tail(): number {
    return this.#lists.get(this.#number, TAIL);
  }

  get count(): number {
    return this.#lists.get(this.#number, COUNT);
  }

  /** Total granules of its entries. */
  get granules(): number {
    return this.#lists.get(this.#number, GRANULES);
  }

  /**
   * Rebuilds the list from `members`. Reading the old order from both ends recovers all of it except for the few
   * entries that a dead thread was moving. Those go to the head.
   */
  rebuild(members: readonly number[]): void {
    const left = new Set(members);
    const follow = (from: number, link: number): number[] => {
      const found: number[] = [];
      for (let entry = from; left.delete(entry); entry = this.#entries.get(entry, link)) found.push(entry);
      return found;
    };
    const newest = follow(this.#lists.get(this.#number, HEAD), this.#links.older);
    const oldest = follow(this.tail, this.#links.newer);
    this.format();
    for (const entry of [...oldest, ...newest.toReversed(), ...left]) this.pushHead(entry);
  }

  pushHead(entry: number): void {
    const head = this.#lists.get(this.#number, HEAD);
    this.#entries.set(entry, this.#links.newer, NONE);
    this.#entries.set(entry, this.#links.older, head);
    if (head === NONE) this.#lists.set(this.#number, TAIL, entry);
    else this.#entries.set(head, this.#links.newer, entry);
    this.#lists.set(this.#number, HEAD, entry);
    this.#lists.set(this.#number, COUNT, this.count + 1);
    this.#lists.set(this.#number, GRANULES, this.granules + this.#entries.get(entry, FIELD.granules));
  }

  pushTail(entry: number): void {
    const { tail } = this;
    this.#entries.set(entry, this.#links.older, NONE);
    this.#entries.set(entry, this.#links.newer, tail);
    if (tail === NONE) this.#lists.set(this.#number, HEAD, entry);
    else this.#entries.set(tail, this.#links.older, entry);
    this.#lists.set(this.#number, TAIL, entry);
    this.#lists.set(this.#number, COUNT, this.count + 1);
    this.#lists.set(this.#number, GRANULES, this.granules + this.#entries.get(entry, FIELD.granules));
  }

  remove(entry: number): void {
    const newer = this.#entries.get(entry, this.#links.newer);
    const older = this.#entries.get(entry, this.#links.older);
    if (newer === NONE) this.#lists.set(this.#number, HEAD, older);
    else this.#entries.set(newer, this.#links.older, older);
    if (older === NONE) this.#lists.set(this.#number, TAIL, newer);
    else this.#entries.set(older, this.#links.newer, newer);
    this.#lists.set(this.#number, COUNT, this.count - 1);
    this.#lists.set(this.#number, GRANULES, this.granules - this.#entries.get(entry, FIELD.granules));
  }

  /**
   * Admission time of the oldest entry in monotonic milliseconds; undefined if there is none. Needs no lock: it retries
   * a few times until the same entry is the oldest before and after the read.
   */
  oldestMs(): number | undefined {
    let admittedMs: number | undefined;
    for (let look = 0; look < LOOKS; look++) {
      const entry = this.tail;
      if (entry === NONE) return undefined;
      admittedMs = this.#entries.getDouble(entry, FIELD.admittedMs);
      if (this.tail === entry) return admittedMs;
    }
    return admittedMs;
  }

  moveToHead(entry: number): void {
    if (this.#lists.get(this.#number, HEAD) === entry) return;
    this.remove(entry);
    this.pushHead(entry);
  }
}
