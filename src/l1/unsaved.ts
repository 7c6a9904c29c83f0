import { FIELD, FLAG } from "./entry_table.ts";
import type { Parts } from "./parts.ts";
import type { Reads } from "./reads.ts";
import type { Resident, UnsavedObject, WriteCommit } from "./types.ts";
import type { Writes } from "./writes.ts";

const NONE = -1;

/** Objects that no tier has yet: a lease without a deadline keeps each of them until its holder, or who adopts it, gives it back. Not locked: the caller holds the arena's lock. */
export class Unsaved {
  readonly #p: Parts;
  readonly #reads: Reads;
  readonly #writes: Writes;

  constructor(parts: Parts, options: { readonly reads: Reads; readonly writes: Writes }) {
    this.#p = parts;
    this.#reads = options.reads;
    this.#writes = options.writes;
  }

  admit(commit: WriteCommit, nowMs: number): Resident | undefined {
    const { tables: { entries }, key } = this.#p;
    let admitted: Resident | undefined;
    const event = "l1.write_finished_and_read_reserved";
    const how = { onResident: "replace", nowMs, event, isUnsaved: true } as const;
    this.#writes.finish([commit], how, (outcome) => {
      const entry = outcome === "admitted" ? entries.findResident(key) : NONE;
      if (entry === NONE) return;
      admitted = this.#reads.pin(entry, 1, { nowMs, tenant: entries.tenantOf(entry), told: 0, deadlineMs: Infinity });
    });
    return admitted;
  }

  /** Asks of the key at hand. */
  isExpired(nowMs: number): boolean {
    const { tables: { entries }, lifecycle, key } = this.#p;
    const entry = entries.findResident(key);
    return entry !== NONE && entries.hasFlag(entry, FLAG.unsaved) && lifecycle.isDue(entry, nowMs);
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
