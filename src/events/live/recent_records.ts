import type { LiveRecord } from "./live_item.ts";

/** The last so many records. */
export class RecentRecords {
  readonly #limit: number;
  /** Place = sequence modulo limit. */
  #records: LiveRecord[] = [];
  #last = 0;

  constructor(limit: number) {
    this.#limit = limit;
  }

  /** Adds the record whose sequence is one above the last; the oldest makes room. */
  add(record: LiveRecord): void {
    this.#records[record.sequence % this.#limit] = record;
    this.#last = record.sequence;
  }

  /** The records after a place, oldest first. */
  after(sequence: number): readonly LiveRecord[] {
    const found: LiveRecord[] = [];
    for (let place = Math.max(sequence + 1, this.#last - this.#limit + 1); place <= this.#last; place++) {
      const record = this.#records[place % this.#limit];
      if (record?.sequence === place) found.push(record);
    }
    return found;
  }

  /** Forgets all of them. */
  clear(): void {
    this.#records = [];
  }
}
