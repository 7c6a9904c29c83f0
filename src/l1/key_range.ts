import { FIELD } from "./arena/entry_table.ts";
import type { Tables } from "./arena/tables.ts";
import type { KeyRange } from "./l1.ts";

const encoder = new TextEncoder();

/** A key range in UTF-8, which is compared with keys in the arena without decoding them. */
export class EncodedRange {
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
