import { FIELD, FLAG, STATE } from "./arena/entry.ts";
import type { Parts } from "./lifecycle.ts";
import type { Locked } from "./lock.ts";
import type { KeyRange, RecentKeys } from "./l1.ts";
import type { Tables } from "./tables.ts";

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

  /** Leaves out replaced, removed and expired objects, which no lookup can find again. Takes no lock. */
  dirty(): { readonly objects: number; readonly bytes: number } {
    const { tables: { entries }, lifecycle } = this.#parts;
    const amount = { objects: 0, bytes: 0 };
    for (let entry = 0; entry < entries.top; entry++) {
      const isDirty = entries.get(entry, FIELD.state) === STATE.resident && entries.hasFlag(entry, FLAG.dirty);
      if (!isDirty || lifecycle.isDue(entry)) continue;
      amount.objects++;
      amount.bytes += entries.getDouble(entry, FIELD.sizeBytes);
    }
    return amount;
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

const encoder = new TextEncoder();

/** A key range in UTF-8, which is compared with keys in the arena without decoding them. */
class EncodedRange {
  readonly #tenant: Uint8Array;
  readonly #prefix: Uint8Array;
  readonly #after: Uint8Array;
  readonly #through: Uint8Array | undefined;

  constructor({ tenant, prefix, after, through }: KeyRange) {
    this.#tenant = encoder.encode(tenant);
    this.#prefix = encoder.encode(prefix);
    this.#after = encoder.encode(after);
    this.#through = through === undefined ? undefined : encoder.encode(through);
  }

  /** True if an entry's key is in the range. */
  has({ arena, entries }: Tables, entry: number): boolean {
    const tenantLength = entries.get(entry, FIELD.lengths) & 255;
    const length = entries.get(entry, FIELD.keyBytes);
    if (tenantLength !== this.#tenant.length || length < this.#prefix.length) return false;
    const granule = entries.get(entry, FIELD.start);
    const bytes = arena.segment(granule);
    const at = arena.offset(granule);
    if (!startsWith(bytes, at, this.#tenant)) return false;
    const key = { bytes, at: at + tenantLength, length };
    if (!startsWith(bytes, key.at, this.#prefix)) return false;
    if (this.#after.length > 0 && compare(key, this.#after) <= 0) return false;
    return this.#through === undefined || compare(key, this.#through) <= 0;
  }
}

function startsWith(bytes: Uint8Array, at: number, wanted: Uint8Array): boolean {
  for (let i = 0; i < wanted.length; i++) if (bytes[at + i] !== wanted[i]) return false;
  return true;
}

function compare(
  key: { readonly bytes: Uint8Array; readonly at: number; readonly length: number },
  other: Uint8Array,
): number {
  const length = Math.min(key.length, other.length);
  for (let i = 0; i < length; i++) {
    const order = (key.bytes[key.at + i] ?? 0) - (other[i] ?? 0);
    if (order !== 0) return order;
  }
  return key.length - other.length;
}
