import type { Arena, Counters } from "./arena.ts";
import { FIELD, FLAG } from "./entry.ts";
import type { EntryTable } from "./entry_table.ts";
import { EntryList } from "./entry_list.ts";
import { LIST } from "./layout.ts";
import type { DirtyUsage, StoreLimits } from "../l1.ts";

/**
 * Objects that the tiers do not have yet, in admission order: those that wait, and those that a thread is storing. The
 * thread's lease without a deadline marks what it stores. `usage` and `oldestMs` need no lock; for everything else the
 * caller holds the arena's lock.
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
  usage(): DirtyUsage {
    return {
      entries: this.#waiting.count + this.#storing.count,
      bytes: this.#counters.dirtyBytes,
      storing: this.#storing.count,
      oldestMs: this.oldestMs(),
    };
  }

  /** True if an object of so many bytes may be added. */
  hasRoom(bytes: number, { maxEntries, maxBytes, maxAgeMs = 0 }: StoreLimits, monotonicMs: number): boolean {
    const entries = this.#waiting.count + this.#storing.count;
    if (entries === 0) return true;
    const isOld = maxAgeMs > 0 && monotonicMs - (this.oldestMs() ?? Infinity) > maxAgeMs;
    return !isOld && entries < maxEntries && this.#counters.dirtyBytes + bytes <= maxBytes;
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
    const waiting = this.#waiting.oldestMs();
    const storing = this.#storing.oldestMs();
    if (waiting === undefined || storing === undefined) return waiting ?? storing;
    return Math.min(waiting, storing);
  }
}
