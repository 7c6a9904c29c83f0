import { FIELD, FLAG, STATE } from "./arena/entry_table.ts";
import { LEASE } from "./arena/lease_table.ts";
import type { Parts } from "./parts.ts";
import { noLease } from "./reads.ts";
import type { Resident, UnsavedObject, WriteCommit } from "./types.ts";
import type { Writes } from "./writes.ts";

const NONE = -1;

/**
 * Objects that no tier has yet: a lease without a deadline keeps each of them until its holder, or who adopts it, gives
 * it back. Not locked: the caller holds the arena's lock.
 */
export class Unsaved {
  readonly #p: Parts;
  readonly #writes: Writes;

  constructor(parts: Parts, writes: Writes) {
    this.#p = parts;
    this.#writes = writes;
  }

  /** Throws no_room, before anything has changed, if no lease is left. */
  admit(commit: WriteCommit, monotonicMs: number): Resident | undefined {
    const { entries, leases } = this.#p.tables;
    const entry = leases.entryOf(commit.lease, LEASE.write, monotonicMs);
    if (entry === NONE) return undefined;
    // Before it is admitted: whoever finds the object finds it held, even if this thread dies in between.
    const lease = leases.give(LEASE.read, entry, 1, Infinity);
    if (lease === undefined) throw noLease();
    let isAdmitted = false;
    const event = "l1.write_finished_and_read_reserved";
    try {
      this.#writes.finish([commit], { onResident: "replace", monotonicMs, event, isUnsaved: true }, (outcome) => {
        isAdmitted = outcome === "admitted";
      });
    } finally {
      if (!isAdmitted) leases.end(lease.slot);
    }
    if (!isAdmitted) return undefined;
    entries.set(entry, FIELD.pins, entries.get(entry, FIELD.pins) + 1);
    return { lease, meta: entries.metaOf(entry), extents: entries.viewsOf(entry, commit.sizeBytes) };
  }

  /** Asks of the key at hand. */
  isExpired(): boolean {
    const { tables: { entries }, lifecycle, key } = this.#p;
    const entry = entries.findResident(key);
    return entry !== NONE && entries.hasFlag(entry, FLAG.unsaved) && lifecycle.isDue(entry);
  }

  /** Replaced, removed and expired objects are not among them: nobody would find them again. */
  amount(): { readonly objects: number; readonly bytes: number } {
    const { tables: { entries, leases }, lifecycle } = this.#p;
    const amount = { objects: 0, bytes: 0 };
    for (const { entry } of leases.live((deadlineMs) => deadlineMs === Infinity)) {
      if (entries.get(entry, FIELD.state) !== STATE.resident || lifecycle.isDue(entry)) continue;
      amount.objects++;
      amount.bytes += entries.getDouble(entry, FIELD.sizeBytes);
    }
    return amount;
  }

  adopt(holder: number): readonly UnsavedObject[] {
    const { entries, leases } = this.#p.tables;
    const adopted: UnsavedObject[] = [];
    for (const { slot, entry } of leases.live((deadlineMs, owner) => owner === holder && deadlineMs === Infinity)) {
      leases.takeOver(slot);
      const meta = entries.metaOf(entry);
      const extents = entries.viewsOf(entry, entries.getDouble(entry, FIELD.sizeBytes));
      adopted.push({ key: entries.keyOf(entry), resident: { lease: leases.tokenOf(slot), meta, extents } });
    }
    return adopted;
  }
}
