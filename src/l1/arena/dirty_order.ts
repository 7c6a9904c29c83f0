import type { Arena } from "./arena.ts";
import type { Counters } from "./counters.ts";
import { type EntryTable, FIELD, FLAG } from "./entry_table.ts";
import { EntryList } from "../eviction/entry_list.ts";
import { LIST } from "./layout.ts";

const NONE = -1;

/** How often a reader without the lock looks again while the oldest entry changes under it. */
const LOOKS = 8;

/**
 * The objects that the tiers do not have yet, in the order of admission: those that wait, and those that are being
 * stored.
 */
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

  /** Objects that wait or are being stored. */
  get count(): number {
    return this.#waiting.count + this.#storing.count;
  }

  get bytes(): number {
    return this.#counters.dirtyBytes;
  }

  get storing(): number {
    return this.#storing.count;
  }

  /** The object that waits longest, or -1. */
  get first(): number {
    return this.#waiting.tail;
  }

  /** The entry has become resident and waits; its flag says so already. */
  add(entry: number): void {
    this.#waiting.pushHead(entry);
    this.#counters.dirtyBytes += this.#entries.getDouble(entry, FIELD.sizeBytes);
  }

  /** An entry that waits is being stored from now on; its lease says so already. */
  take(entry: number): void {
    this.#waiting.remove(entry);
    this.#entries.setFlag(entry, FLAG.storing);
    this.#storing.pushHead(entry);
  }

  /** Who stored it is gone: it waits again, in front of those that came later. */
  giveBack(entry: number): void {
    this.#storing.remove(entry);
    this.#entries.clearFlag(entry, FLAG.storing);
    this.#waiting.pushTail(entry);
  }

  /**
   * A dirty object leaves L1: nobody needs to store it any more; who does it already is to say when it has ended.
   */
  leave(entry: number): void {
    if (this.#entries.hasFlag(entry, FLAG.storing)) this.#entries.clearFlag(entry, FLAG.dirty);
    else this.remove(entry);
  }

  /** It is stored, or needs not to be: it is none of these any more. */
  remove(entry: number): void {
    const list = this.#entries.hasFlag(entry, FLAG.storing) ? this.#storing : this.#waiting;
    this.#entries.clearFlag(entry, FLAG.dirty | FLAG.storing);
    list.remove(entry);
    this.#counters.dirtyBytes -= this.#entries.getDouble(entry, FIELD.sizeBytes);
  }

  /** Makes the lists anew out of the entries' flags. */
  rebuild(entries: readonly number[]): void {
    this.#storing.rebuild(entries.filter((entry) => this.#entries.hasFlag(entry, FLAG.storing)));
    this.#waiting.rebuild(entries.filter((entry) => !this.#entries.hasFlag(entry, FLAG.storing)));
    this.#counters.dirtyBytes = entries.reduce(
      (sum, entry) => sum + this.#entries.getDouble(entry, FIELD.sizeBytes),
      0,
    );
  }

  /** When the oldest of all was admitted, in monotonic milliseconds; undefined if there is none. Needs no lock. */
  oldestMs(): number | undefined {
    const waiting = this.#oldestOf(this.#waiting);
    const storing = this.#oldestOf(this.#storing);
    if (waiting === undefined || storing === undefined) return waiting ?? storing;
    return Math.min(waiting, storing);
  }

  /** The time of an entry that was the oldest before and after the look. */
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
