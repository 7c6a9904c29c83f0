import { FIELD, FLAG, STATE } from "./arena/entry_table.ts";
import { LEASE } from "./arena/lease_table.ts";
import type { Parts } from "./parts.ts";
import type { DirtyObject, DirtyUsage, StoreLimits } from "./l1.ts";

const NONE = -1;

/**
 * Objects that the tiers do not have yet. Each waits, in admission order, until a thread takes it for storing. The
 * thread's lease without a deadline marks it as being stored. Except for `amount` and `usage`, the caller holds the
 * arena's lock.
 */
export class Dirty {
  readonly #parts: Parts;

  constructor(parts: Parts) {
    this.#parts = parts;
  }

  hasRoom(bytes: number, { maxEntries, maxBytes, maxAgeMs = 0 }: StoreLimits, monotonicMs: number): boolean {
    const { dirty } = this.#parts.tables;
    if (dirty.count === 0) return true;
    const isOld = maxAgeMs > 0 && monotonicMs - (dirty.oldestMs() ?? Infinity) > maxAgeMs;
    return !isOld && dirty.count < maxEntries && dirty.bytes + bytes <= maxBytes;
  }

  take(most: number): readonly DirtyObject[] {
    const { tables: { entries, leases, dirty }, tally } = this.#parts;
    const taken: DirtyObject[] = [];
    for (let entry = dirty.first; entry !== NONE && taken.length < most; entry = dirty.first) {
      const lease = leases.give(LEASE.read, entry, 1, Infinity);
      if (lease === undefined) break;
      entries.set(entry, FIELD.pins, entries.get(entry, FIELD.pins) + 1);
      dirty.take(entry);
      const meta = entries.metaOf(entry);
      const key = entries.keyOf(entry);
      tally.add("l1.read.reserved", key.tenant, meta.sizeBytes);
      taken.push({ key, resident: { lease, meta, extents: entries.viewsOf(entry, meta.sizeBytes) } });
    }
    return taken;
  }

  /** Leaves out replaced, removed and expired objects, which no lookup can find again. */
  amount(): { readonly objects: number; readonly bytes: number } {
    const { tables: { entries }, lifecycle } = this.#parts;
    const amount = { objects: 0, bytes: 0 };
    for (let entry = 0; entry < entries.top; entry++) {
      const isOwed = entries.get(entry, FIELD.state) === STATE.resident && entries.hasFlag(entry, FLAG.dirty);
      if (!isOwed || lifecycle.isDue(entry)) continue;
      amount.objects++;
      amount.bytes += entries.getDouble(entry, FIELD.sizeBytes);
    }
    return amount;
  }

  usage(): DirtyUsage {
    const { count, bytes, storing } = this.#parts.tables.dirty;
    return { entries: count, bytes, storing, oldestMs: this.#parts.tables.dirty.oldestMs() };
  }
}
