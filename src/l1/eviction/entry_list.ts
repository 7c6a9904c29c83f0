import type { Arena } from "../arena/arena.ts";
import { type EntryTable, FIELD } from "../arena/entry_table.ts";
import { LIST_WORDS } from "../arena/layout.ts";

const NONE = -1;
const HEAD = 0;
const TAIL = 1;
const COUNT = 2;
const GRANULES = 3;

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
  readonly #words: Int32Array;
  readonly #at: number;
  readonly #entries: EntryTable;
  readonly #links: Links;

  /** `number`: index of the list header in the arena. `links` defaults to the eviction policy's. */
  constructor(arena: Arena, entries: EntryTable, number: number, links: Links = FIELD) {
    this.#words = arena.words;
    this.#at = arena.layout.at.lists + number * LIST_WORDS;
    this.#entries = entries;
    this.#links = links;
  }

  format(): void {
    this.#words[this.#at + HEAD] = NONE;
    this.#words[this.#at + TAIL] = NONE;
    this.#words[this.#at + COUNT] = 0;
    this.#words[this.#at + GRANULES] = 0;
  }

  /** The newest entry, or -1. */
  get head(): number {
    return this.#words[this.#at + HEAD] ?? NONE;
  }

  /** The oldest entry, or -1. */
  get tail(): number {
    return this.#words[this.#at + TAIL] ?? NONE;
  }

  get count(): number {
    return this.#words[this.#at + COUNT] ?? 0;
  }

  /** Total granules of its entries. */
  get granules(): number {
    return this.#words[this.#at + GRANULES] ?? 0;
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
    const newest = follow(this.#words[this.#at + HEAD] ?? NONE, this.#links.older);
    const oldest = follow(this.tail, this.#links.newer);
    this.format();
    for (const entry of [...oldest, ...newest.toReversed(), ...left]) this.pushHead(entry);
  }

  pushHead(entry: number): void {
    const head = this.#words[this.#at + HEAD] ?? NONE;
    this.#entries.set(entry, this.#links.newer, NONE);
    this.#entries.set(entry, this.#links.older, head);
    if (head === NONE) this.#words[this.#at + TAIL] = entry;
    else this.#entries.set(head, this.#links.newer, entry);
    this.#words[this.#at + HEAD] = entry;
    this.#words[this.#at + COUNT] = this.count + 1;
    this.#words[this.#at + GRANULES] = this.granules + this.#entries.get(entry, FIELD.granules);
  }

  pushTail(entry: number): void {
    const { tail } = this;
    this.#entries.set(entry, this.#links.older, NONE);
    this.#entries.set(entry, this.#links.newer, tail);
    if (tail === NONE) this.#words[this.#at + HEAD] = entry;
    else this.#entries.set(tail, this.#links.older, entry);
    this.#words[this.#at + TAIL] = entry;
    this.#words[this.#at + COUNT] = this.count + 1;
    this.#words[this.#at + GRANULES] = this.granules + this.#entries.get(entry, FIELD.granules);
  }

  remove(entry: number): void {
    const newer = this.#entries.get(entry, this.#links.newer);
    const older = this.#entries.get(entry, this.#links.older);
    if (newer === NONE) this.#words[this.#at + HEAD] = older;
    else this.#entries.set(newer, this.#links.older, older);
    if (older === NONE) this.#words[this.#at + TAIL] = newer;
    else this.#entries.set(older, this.#links.newer, newer);
    this.#words[this.#at + COUNT] = this.count - 1;
    this.#words[this.#at + GRANULES] = this.granules - this.#entries.get(entry, FIELD.granules);
  }

  moveToHead(entry: number): void {
    if (this.#words[this.#at + HEAD] === entry) return;
    this.remove(entry);
    this.pushHead(entry);
  }
}
