import type { IndexRow } from "../folder_calls.ts";
import type { ObjectIndex } from "./index.ts";
import type { Reclaim, Removals } from "./reclaim.ts";

/** A running clear. The entries that it will remove, selected by id, are hidden already. */
export interface Clear {
  /** Undefined: all tenants. */
  readonly tenant: string | undefined;
  /** The highest id when the clear began. */
  readonly lastId: number;
  /** All entries up to this id have been removed. */
  doneId: number;
  /** The removed objects and their bytes, by tenant. */
  readonly removed: Map<string, { readonly keys: number; readonly bytes: number }>;
}

/** Maximum number of entries that are removed in one step; other calls run in between. */
const SLICE = 128;

/** The running clears. Entries that one of them will remove are hidden from all readers. */
export class Clears {
  readonly #index: ObjectIndex;
  readonly #removals: Removals;
  readonly #reclaim: Reclaim;
  readonly #running = new Set<Clear>();

  constructor(parts: { readonly index: ObjectIndex; readonly removals: Removals; readonly reclaim: Reclaim }) {
    this.#index = parts.index;
    this.#removals = parts.removals;
    this.#reclaim = parts.reclaim;
  }

  /** `lastId`: the result of ObjectIndex.beginClear. */
  begin(tenant: string | undefined, lastId: number): Clear {
    const clear = { tenant, lastId, doneId: 0, removed: new Map() };
    this.#running.add(clear);
    return clear;
  }

  /**
   * Ends a clear that has removed everything or has failed. After a failure its remaining entries are visible again
   * until the next start, which removes them.
   */
  end(clear: Clear): void {
    this.#running.delete(clear);
  }

  /** Any running clear. */
  get first(): Clear | undefined {
    const [first] = this.#running;
    return first;
  }

  /** Removes some of a clear's entries; returns false if none was left. */
  step(clear: Clear): boolean {
    const { tenant, doneId: after, lastId: last } = clear;
    if (after >= last) return false;
    const rows = this.#index.entries(tenant, { after, last, limit: SLICE });
    this.#index.transaction(() => {
      for (const row of rows) this.#index.remove(row);
    });
    clear.doneId = rows.at(-1)?.id ?? last;
    this.#removals.removeFiles(rows);
    this.#removals.notify(rows, "cleared");
    for (const row of rows) {
      this.#reclaim.removed(row);
      this.count(row);
    }
    this.#reclaim.dropEmpty();
    return rows.length > 0;
  }

  /** True if a running clear hides the entry. */
  isHidden(row: IndexRow): boolean {
    return this.#of(row) !== undefined;
  }

  /** Returns the id up to which entries of a tenant are hidden. */
  hiddenUpTo(tenant: string): number {
    let last = 0;
    for (const clear of this.#running) {
      if (clear.tenant === undefined || clear.tenant === tenant) last = Math.max(last, clear.lastId);
    }
    return last;
  }

  /** Counts a hidden entry as removed by its clear, whatever removed it. */
  count(row: IndexRow): void {
    const removed = this.#of(row)?.removed;
    const sum = removed?.get(row.key.tenant) ?? { keys: 0, bytes: 0 };
    removed?.set(row.key.tenant, { keys: sum.keys + 1, bytes: sum.bytes + row.meta.sizeBytes });
  }

  #of({ id, key }: IndexRow): Clear | undefined {
    for (const clear of this.#running) {
      if (id <= clear.lastId && (clear.tenant === undefined || clear.tenant === key.tenant)) return clear;
    }
    return undefined;
  }
}
