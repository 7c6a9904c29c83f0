import type { Arena, Counters } from "./arena.ts";
import { FIELD } from "./entry.ts";
import type { EntryTable } from "./entry_table.ts";
import { EntryList } from "./entry_list.ts";
import { COUNTER, LIST } from "./layout.ts";

const NONE = -1;

/**
 * A repair adds this to the admission count. It exceeds every look-back: `since` then gives undefined or all residents.
 */
const REPAIR_STEP = 1 << 24;

/**
 * All residents in admission order, independent of the eviction policy. `count` and `oldestMs` need no lock; for
 * everything else the caller holds the arena's lock.
 */
export class AdmissionOrder {
  readonly #entries: EntryTable;
  readonly #list: EntryList;
  readonly #counters: Counters;

  constructor(arena: Arena, entries: EntryTable, options: { readonly counters: Counters; readonly format: boolean }) {
    this.#entries = entries;
    this.#counters = options.counters;
    const links = { newer: FIELD.laterAdmitted, older: FIELD.earlierAdmitted };
    this.#list = new EntryList(arena, entries, LIST.admissions, links);
    if (options.format) this.#list.format();
  }

  /** Records the admission time. Must run before the entry's state becomes resident. */
  note(entry: number, monotonicMs: number): void {
    this.#counters.add(COUNTER.admissions, 1);
    this.#entries.setDouble(entry, FIELD.admittedMs, monotonicMs);
  }

  /** Number of admissions, modulo 2^32. */
  get count(): number {
    return this.#counters.get(COUNTER.admissions);
  }

  /**
   * The residents admitted since `count` had the given value, and perhaps earlier ones. Undefined if there may be more
   * than `most`.
   */
  since(count: number, most: number): readonly number[] | undefined {
    const admitted = (this.count - count) >>> 0;
    if (admitted > most) return undefined;
    const found: number[] = [];
    for (let entry = this.#list.head; found.length < admitted && entry !== NONE;) {
      found.push(entry);
      entry = this.#entries.get(entry, FIELD.earlierAdmitted);
    }
    return found;
  }

  /** Adds an entry that has become resident. */
  add(entry: number): void {
    this.#list.pushHead(entry);
  }

  /** Removes an entry that leaves L1. */
  remove(entry: number): void {
    this.#list.remove(entry);
  }

  /** Rebuilds the order; exactly `residents` are resident. */
  rebuild(residents: readonly number[]): void {
    // Makes callers of `since` look at everything again.
    this.#counters.add(COUNTER.admissions, REPAIR_STEP);
    this.#list.rebuild(residents);
  }

  /** Admission time of the oldest resident in monotonic milliseconds; undefined if there is none. */
  oldestMs(): number | undefined {
    return this.#list.oldestMs();
  }
}
