import type { IndexRow } from "../place.ts";
import type { ObjectIndex } from "./index.ts";
import type { Reclaim } from "./reclaim.ts";
import type { Removals } from "./removals.ts";

/** A clear that goes on: what it takes away, by the order of ids, is out of sight already. */
export interface Clear {
  /** undefined: of all tenants. */
  readonly tenant: string | undefined;
  /** The highest id that there was when it began. */
  readonly lastId: number;
  /** Everything up to this id has been removed. */
  doneId: number;
  /** What has been removed, by tenant. */
  readonly removed: Map<string, { readonly keys: number; readonly bytes: number }>;
}

/** Entries that are removed in one step: others get their turn in between. */
const SLICE = 128;

/** The clears that go on. What one of them is about to remove is seen by nobody. */
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

  /** `lastId`: what ObjectIndex.beginClear has given. */
  begin(tenant: string | undefined, lastId: number): Clear {
    const clear = { tenant, lastId, doneId: 0, removed: new Map() };
    this.#running.add(clear);
    return clear;
  }

  /** A clear has removed everything, or has failed: then what is left is seen again, until the next start. */
  end(clear: Clear): void {
    this.#running.delete(clear);
  }

  /** Any clear that goes on. */
  get first(): Clear | undefined {
    const [first] = this.#running;
    return first;
  }

  /** Removes some of what a clear has put out of sight; false if nothing was left. */
  step(clear: Clear): boolean {
    const { tenant, doneId: after, lastId: last } = clear;
    if (after >= last) return false;
    const rows = this.#index.entries(tenant, { after, last, limit: SLICE });
    this.#index.transaction(() => {
      for (const row of rows) this.#index.remove(row);
    });
    clear.doneId = rows.at(-1)?.id ?? last;
    this.#removals.removeFiles(rows);
    this.#removals.tell(rows, "cleared");
    for (const row of rows) {
      this.#reclaim.removed(row);
      this.count(row);
    }
    this.#reclaim.dropEmpty();
    return rows.length > 0;
  }

  /** Whether an entry is out of sight. */
  isHidden(row: IndexRow): boolean {
    return this.#of(row) !== undefined;
  }

  /** Entries of a tenant up to this id are out of sight. */
  hiddenUpTo(tenant: string): number {
    let last = 0;
    for (const clear of this.#running) {
      if (clear.tenant === undefined || clear.tenant === tenant) last = Math.max(last, clear.lastId);
    }
    return last;
  }

  /** An entry that was out of sight is gone, by whomever. */
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
