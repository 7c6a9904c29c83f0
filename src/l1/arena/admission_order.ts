import type { Arena } from "./arena.ts";
import { type EntryTable, FIELD } from "./entry_table.ts";
import { EntryList } from "../eviction/entry_list.ts";
import { POLICY_LISTS } from "./layout.ts";

const NONE = -1;

/** How often a reader without the lock looks again while the oldest entry changes under it. */
const LOOKS = 8;

/** All residents in the order in which they were admitted, whatever the eviction policy does. The caller of all but `oldestMs` holds the arena's lock. */
export class AdmissionOrder {
  readonly #entries: EntryTable;
  readonly #list: EntryList;

  constructor(arena: Arena, entries: EntryTable, format: boolean) {
    this.#entries = entries;
    const links = { newer: FIELD.laterAdmitted, older: FIELD.earlierAdmitted };
    this.#list = new EntryList(arena, entries, POLICY_LISTS, links);
    if (format) this.#list.format();
  }

  /** The entry becomes resident; to be noted before its state says so. */
  note(entry: number, monotonicMs: number): void {
    this.#entries.setDouble(entry, FIELD.admittedMs, monotonicMs);
  }

  /** The entry is resident. */
  add(entry: number): void {
    this.#list.pushHead(entry);
  }

  /** The entry leaves L1. */
  remove(entry: number): void {
    this.#list.remove(entry);
  }

  /** Makes the order anew: exactly these are resident. */
  rebuild(residents: readonly number[]): void {
    this.#list.rebuild(residents);
  }

  /**
   * When the resident that was admitted first came, in monotonic milliseconds; undefined if there is none. Needs no lock: it is the time of an
   * entry that was the oldest before and after the look.
   */
  oldestMs(): number | undefined {
    let admittedMs: number | undefined;
    for (let look = 0; look < LOOKS; look++) {
      const entry = this.#list.tail;
      if (entry === NONE) return undefined;
      admittedMs = this.#entries.getDouble(entry, FIELD.admittedMs);
      if (this.#list.tail === entry) return admittedMs;
    }
    return admittedMs;
  }
}
