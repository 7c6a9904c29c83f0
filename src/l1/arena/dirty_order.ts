import type { Arena } from "./arena.ts";
import type { Counters } from "./counters.ts";
import { type EntryTable, FIELD, FLAG } from "./entry_table.ts";
import { EntryList } from "../eviction/entry_list.ts";
import { LIST } from "./layout.ts";

const NONE = -1;

/** Attempts of a lock-free read of the oldest entry. */
const LOOKS = 8;

/** Dirty objects in admission order: those that wait, and those that are being stored. */
export class DirtyOrder {
  readonly #entries: EntryTable;
  readonly #counters: Counters;
  readonly #waiting: EntryList;
  readonly #storing: EntryList;

  constructor(arena: Arena, entries: EntryTable, options: { readonly counters: Counters; readonly format: boolean }) {
    this.#entries = entries;
    this.#counters = options.counters;
    const links = { newer: FIELD.laterDirty, older: FIELD.earlierDirty };
    this.#waiting = new EntryList(arena, entries, LIST.waiting, links);
    this.#storing = new EntryList(arena, entries, LIST.storing, links);
    if (!options.format) return;
    this.#waiting.format();
    this.#storing.format();
  }

  /** Number of objects that wait or are being stored. */
  get count(): number {
    return this.#waiting.count + this.#storing.count;
  }

  get bytes(): number {
    return this.#counters.dirtyBytes;
  }

  get storing(): number {
    return this.#storing.count;
  }

  /** The object that has waited longest, or -1. */
  get first(): number {
    return this.#waiting.tail;
  }

  /** Adds an entry that has become resident. Its dirty flag is already set. */
  add(entry: number): void {
    this.#waiting.pushHead(entry);
    this.#counters.dirtyBytes += this.#entries.getDouble(entry, FIELD.sizeBytes);
  }

  /** Marks a waiting entry as being stored. Its lease without a deadline already exists. */
  take(entry: number): void {
    this.#waiting.remove(entry);
    this.#entries.setFlag(entry, FLAG.storing);
    this.#storing.pushHead(entry);
  }

  /** Makes an entry wait again because the thread that was storing it is gone. It goes in front of later ones. */
  giveBack(entry: number): void {
    this.#storing.remove(entry);
    this.#entries.clearFlag(entry, FLAG.storing);
    this.#waiting.pushTail(entry);
  }

  /** A dirty object leaves L1 and need not be stored any more. If it is being stored, it counts until that ends. */
  leave(entry: number): void {
    if (this.#entries.hasFlag(entry, FLAG.storing)) this.#entries.clearFlag(entry, FLAG.dirty);
    else this.remove(entry);
  }

  /** Removes an entry that has been stored or need not be stored. */
  remove(entry: number): void {
    const list = this.#entries.hasFlag(entry, FLAG.storing) ? this.#storing : this.#waiting;
    this.#entries.clearFlag(entry, FLAG.dirty | FLAG.storing);
    list.remove(entry);
    this.#counters.dirtyBytes -= this.#entries.getDouble(entry, FIELD.sizeBytes);
  }

  /** Rebuilds the lists from the entries' flags. */
  rebuild(entries: readonly number[]): void {
    this.#storing.rebuild(entries.filter((entry) => this.#entries.hasFlag(entry, FLAG.storing)));
    this.#waiting.rebuild(entries.filter((entry) => !this.#entries.hasFlag(entry, FLAG.storing)));
    this.#counters.dirtyBytes = entries.reduce(
      (sum, entry) => sum + this.#entries.getDouble(entry, FIELD.sizeBytes),
      0,
    );
  }

  /** Admission time of the oldest dirty object in monotonic milliseconds; undefined if there is none. Needs no lock. */
  oldestMs(): number | undefined {
    const waiting = this.#oldestOf(this.#waiting);
    const storing = this.#oldestOf(this.#storing);
    if (waiting === undefined || storing === undefined) return waiting ?? storing;
    return Math.min(waiting, storing);
  }

  /** Retries a few times until the same entry is the oldest before and after the read. */
  #oldestOf(list: EntryList): number | undefined {
    let admittedMs: number | undefined;
    for (let look = 0; look < LOOKS; look++) {
      const entry = list.tail;
      if (entry === NONE) return undefined;
      admittedMs = this.#entries.getDouble(entry, FIELD.admittedMs);
      if (list.tail === entry) return admittedMs;
    }
    return admittedMs;
  }
}
