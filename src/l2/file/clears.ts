import type { IndexRow } from "./place.ts";

/** A clear that goes on: what it takes away, by the order of ids, is out of sight already. */
export interface Clear {
  /** undefined: of all tenants. */
  readonly tenant: string | undefined;
  /** The highest id that there was when it began. */
  readonly lastId: number;
  /** What it has removed, by tenant. */
  readonly removed: Map<string, { readonly keys: number; readonly bytes: number }>;
}

/** The clears that go on. What one of them is about to remove is seen by nobody. */
export class Clears {
  readonly #running = new Set<Clear>();

  get areRunning(): boolean {
    return this.#running.size > 0;
  }

  begin(tenant: string | undefined, lastId: number): Clear {
    const clear = { tenant, lastId, removed: new Map() };
    this.#running.add(clear);
    return clear;
  }

  end(clear: Clear): void {
    this.#running.delete(clear);
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
