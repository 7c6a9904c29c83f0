import type { ObjectKey } from "../core/object.ts";
import { FIELD } from "./arena/entry.ts";
import { COUNTER } from "./arena/layout.ts";
import type { Holder, HoldOutcome } from "./l1.ts";
import type { Parts } from "./lifecycle.ts";

const NONE = -1;

/** Share of the arena, and of the lease rows, that the holds of clients may take. */
const HELD_SHARE = 1 / 4;

/**
 * Leases of clients: they keep objects from eviction, and nobody reads through them. They are rows of the lease table,
 * so every thread can end them, and those of a thread that dies end with its other leases. Not locked: the caller holds
 * the arena's lock.
 */
export class Holds {
  readonly #parts: Parts;

  constructor(parts: Parts) {
    this.#parts = parts;
  }

  take(
    keys: readonly ObjectKey[],
    { holder, untilMs: deadlineMs }: { readonly holder: Holder; readonly untilMs: number },
  ): HoldOutcome[] {
    const { tables: { entries, leases }, lifecycle, key, events } = this.#parts;
    return keys.map((each) => {
      key.set(each);
      const entry = lifecycle.findLive(key);
      if (entry === NONE) return "absent";
      const granules = entries.get(entry, FIELD.granules);
      if (!this.#hasRoomFor(granules) || !leases.hold(entry, { holder, granules, deadlineMs })) return "full";
      entries.set(entry, FIELD.pins, entries.get(entry, FIELD.pins) + 1);
      events.add("l1.hold.taken", each.tenant, entries.getDouble(entry, FIELD.sizeBytes));
      return "held";
    });
  }

  /** Ends the holds in the lease rows [start, end). */
  release(
    holder: Holder,
    { tenant, start, end }: { readonly tenant: string; readonly start: number; readonly end: number },
  ): number {
    const { tables: { entries, leases }, lifecycle } = this.#parts;
    let released = 0;
    for (const slot of leases.heldBy(holder, start, end)) {
      const entry = leases.entryAt(slot);
      if (entries.tenantOf(entry) !== tenant) continue;
      lifecycle.endHold({ slot, entry }, "l1.hold.released");
      released++;
    }
    return released;
  }

  #hasRoomFor(granules: number): boolean {
    const { arena: { layout }, counters } = this.#parts.tables;
    return counters.get(COUNTER.heldGranules) + granules <= layout.granules * HELD_SHARE &&
      counters.get(COUNTER.holds) < layout.maxLeases * HELD_SHARE;
  }
}
