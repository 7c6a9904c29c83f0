import type { Arena } from "./arena.ts";
import { type EntryTable, FIELD } from "./entry_table.ts";
import type { Counters } from "./counters.ts";
import { EntryList } from "../eviction/entry_list.ts";
import { COUNTER, POLICY_LISTS } from "./layout.ts";

const NONE = -1;

/** How often a reader without the lock looks again while the oldest entry changes under it. */
const LOOKS = 8;

/** What a repair adds to the count of admissions: more than anybody looks back. */
const REPAIR_STEP = 1 << 24;

/**
 * All residents in the order in which they were admitted, whatever the eviction policy does. The caller of all but
 * `oldestMs` holds the arena's lock.
 */
export class AdmissionOrder {
  readonly #entries: EntryTable;
  readonly #list: EntryList;
  readonly #counters: Counters;

  constructor(arena: Arena, entries: EntryTable, options: { readonly counters: Counters; readonly format: boolean }) {
    this.#entries = entries;
    this.#counters = options.counters;
    const links = { newer: FIELD.laterAdmitted, older: FIELD.earlierAdmitted };
    this.#list = new EntryList(arena, entries, POLICY_LISTS, links);
    if (options.format) this.#list.format();
  }

  /** The entry becomes resident; to be noted before its state says so. */
  note(entry: number, monotonicMs: number): void {
    this.#counters.add(COUNTER.admissions, 1);
    this.#entries.setDouble(entry, FIELD.admittedMs, monotonicMs);
  }

  /** How many admissions there were, modulo 2^32. */
  get count(): number {
    return this.#counters.get(COUNTER.admissions);
  }

  /**
   * All residents that were admitted since `count` was so much, and perhaps some that came before; undefined if that
   * may be more than `most`.
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
    // Who counts on the order looks at everything again.
    this.#counters.add(COUNTER.admissions, REPAIR_STEP);
    this.#list.rebuild(residents);
  }

  /**
   * When the resident that was admitted first came, in monotonic milliseconds; undefined if there is none. Needs no
   * lock: it is the time of an entry that was the oldest before and after the look.
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
