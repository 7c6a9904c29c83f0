import { FIELD, FLAG, STATE } from "./arena/entry_table.ts";
import { EncodedRange } from "./key_range.ts";
import type { Parts } from "./parts.ts";
import type { Locked } from "./sharing/locked.ts";
import type { KeyRange, RecentKeys } from "./l1.ts";

/** Entries looked at in one critical section. */
const SECTION_ENTRIES = 512;

/**
 * Passes over all entries, with one short critical section per step, so that other threads get the lock between steps.
 */
export class Passes {
  readonly #parts: Parts;
  readonly #locked: Locked;

  constructor(parts: Parts, locked: Locked) {
    this.#parts = parts;
    this.#locked = locked;
  }

  *keys(range: () => KeyRange): Generator<readonly string[], void, void> {
    const { tables } = this.#parts;
    for (let from = 0; from < tables.entries.top; from += SECTION_ENTRIES) {
      const encoded = new EncodedRange(range());
      yield this.#locked(() => {
        const keys: string[] = [];
        this.#each(from, (entry, state) => {
          if (state === STATE.resident && encoded.has(tables, entry)) keys.push(tables.entries.keyOf(entry).key);
        });
        return keys;
      });
    }
  }

  *clear(tenant: string | undefined, which: "all" | "clean"): Generator<number, void, void> {
    const { tables: { entries } } = this.#parts;
    for (let from = 0; from < entries.top; from += SECTION_ENTRIES) {
      yield this.#locked(() => {
        let removed = 0;
        this.#each(from, (entry, state) => removed += this.#clearOne({ entry, state }, tenant, which));
        return removed;
      });
    }
  }

  recentKeys(range: KeyRange, admissions: number, most: number): RecentKeys | undefined {
    const { tables } = this.#parts;
    const encoded = new EncodedRange(range);
    return this.#locked(() => {
      const recent = tables.admissions.since(admissions, most);
      if (recent === undefined) return undefined;
      const found = recent.filter((entry) => encoded.has(tables, entry));
      return { keys: found.map((entry) => tables.entries.keyOf(entry).key), admissions: tables.admissions.count };
    });
  }

  #clearOne(
    { entry, state }: { readonly entry: number; readonly state: number },
    tenant: string | undefined,
    which: "all" | "clean",
  ): number {
    const { tables: { entries }, lifecycle } = this.#parts;
    if (which === "clean" && entries.hasFlag(entry, FLAG.dirty)) return 0;
    if (tenant !== undefined && entries.tenantOf(entry) !== tenant) return 0;
    if (state === STATE.staging && entries.hasFlag(entry, FLAG.loading)) entries.unlink(entry);
    if (state !== STATE.resident) return 0;
    lifecycle.remove(entry, "cleared");
    return 1;
  }

  #each(from: number, look: (entry: number, state: number) => void): void {
    const { entries } = this.#parts.tables;
    const to = Math.min(from + SECTION_ENTRIES, entries.top);
    for (let entry = from; entry < to; entry++) {
      const state = entries.get(entry, FIELD.state);
      if (state !== STATE.free) look(entry, state);
    }
  }
}
