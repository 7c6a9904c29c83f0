import type { ListQuery } from "../adapter.ts";
import type { Engine } from "./engine.ts";
import { entryRange, type IndexEntry, indexName, type KeySpace, parseEntry, stateName } from "./keys.ts";
import { bytesOf, listOf, textOf } from "./replies.ts";
import { SWEEP, TOTALS } from "./scripts.ts";

/** Entries that were removed from one tenant's index. */
export interface Dropped {
  readonly tenant: string;
  readonly entries: readonly IndexEntry[];
}

/** The calls for the bookkeeping of a tier: the indexes and counters of all shards. */
export class Books {
  readonly #engine: Engine;
  readonly #keys: KeySpace;

  constructor(engine: Engine, keys: KeySpace) {
    this.#engine = engine;
    this.#keys = keys;
  }

  /** Returns the number of objects and their bytes, as counted. */
  async totals(): Promise<{ readonly objects: number; readonly bytes: number }> {
    const counts = await this.#everyShard(async (base) =>
      listOf(await this.#engine.run(TOTALS, [stateName(base)], [base, ""])).map((text) => Number(textOf(text)))
    );
    const sum = (at: number): number => counts.reduce((all, count) => all + (count[at] ?? 0), 0);
    return { objects: sum(0), bytes: sum(1) };
  }

  /** Checks some entries of each shard and drops those whose objects are gone. */
  async sweep(perShard: number): Promise<readonly Dropped[]> {
    return await this.#everyShard((base) => this.sweepShard(base, perShard));
  }

  /** Like `sweep`, for the shard with this base. */
  async sweepShard(base: string, count: number): Promise<Dropped> {
    const [tenant, ...members] = listOf(
      await this.#engine.run(SWEEP, [stateName(base)], [base, "", String(count)]),
    );
    return { tenant: textOf(tenant), entries: entriesOf(members) };
  }

  /** Returns the tenant's entries after a key, in order, up to the limit. */
  async page({ tenant, prefix, after, limit }: ListQuery): Promise<readonly IndexEntry[]> {
    const { min, max } = entryRange(prefix, after);
    const range = ["LIMIT", "0", String(limit)];
    const parts = await this.#everyShard(async (base) => {
      const name = indexName(base, tenant);
      return listOf(await this.#engine.call(name, ["ZRANGEBYLEX", name, min, max, ...range]));
    });
    const members = parts.flat().flatMap((member) => bytesOf(member) ?? []);
    return members.toSorted((a, b) => Buffer.compare(a, b)).slice(0, limit).map(parseEntry);
  }

  async #everyShard<T>(work: (base: string) => Promise<T>): Promise<readonly T[]> {
    return await Promise.all(this.#keys.bases.map(work));
  }
}

/** Parses the index entries that a script returned. */
export function entriesOf(members: readonly unknown[]): readonly IndexEntry[] {
  return members.flatMap((member) => bytesOf(member) ?? []).map(parseEntry);
}
