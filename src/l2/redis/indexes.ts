import type { ListQuery } from "../adapter.ts";
import { decodeMeta } from "../meta_record.ts";
import { bytesOf, type Engine, listOf, textOf } from "./engine.ts";
import {
  entryRange,
  escapeKey,
  headPattern,
  type IndexEntry,
  indexName,
  type KeySpace,
  parseEntry,
  parseHeadName,
  stateName,
  tenantsName,
} from "./layout.ts";
import { CLEAR, CLEAR_ONE, FLOOR, SWEEP, TOTALS } from "./scripts.ts";

/** Entries that were removed from one tenant's index. */
export interface Dropped {
  readonly tenant: string;
  readonly entries: readonly IndexEntry[];
}

/** The indexes and counters of all shards of a tier. */
export class Indexes {
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

/** Number of entries that the engine removes in one step. */
const CLEAR_STEP = 200;
/** Number of names that the engine scans in one step. */
const SCAN_STEP = 1000;

/** Options of a clear. */
export interface ClearContext {
  readonly engine: Engine;
  readonly keys: KeySpace;
  /** Undefined: all tenants. */
  readonly tenant: string | undefined;
  /** The server's id in the log of changes; "" if changes are not logged. */
  readonly server: string;
  /** Called with the removed entries after each step. */
  readonly onRemoved: (dropped: Dropped) => void;
}

/**
 * Removes every object, or one tenant's, that was there at the call. It first removes what is in the indexes, then
 * scans all names in the engine, because with an allkeys-* policy the indexes themselves may have been evicted.
 */
export async function clearObjects(context: ClearContext): Promise<void> {
  const { engine, keys, tenant, server } = context;
  const field = tenant === undefined ? "floor" : `floor:${tenant}`;
  const floors = new Map<string, string>();
  await Promise.all(keys.bases.map(async (base) => {
    const floor = textOf(await engine.run(FLOOR, [stateName(base)], [base, tenant ?? "", field, server]));
    floors.set(base, floor);
    await clearListed(context, base, floor);
  }));
  for (const node of await engine.nodes()) await clearFound(context, node, floors);
}

async function clearListed({ engine, tenant, onRemoved }: ClearContext, base: string, floor: string): Promise<void> {
  const name = tenantsName(base);
  const tenants = tenant === undefined ? listOf(await engine.call(name, ["HKEYS", name])).map(textOf) : [tenant];
  for (const each of tenants) {
    for (let cursor: Buffer | undefined = Buffer.alloc(0); cursor !== undefined;) {
      const args = [base, each, floor, cursor, String(CLEAR_STEP)];
      const [next, ...members] = listOf(await engine.run(CLEAR, [stateName(base)], args));
      onRemoved({ tenant: each, entries: entriesOf(members) });
      const last = bytesOf(next);
      cursor = last?.length === 0 ? undefined : last;
    }
  }
}

/** Removes the objects of one node that are in no index. */
async function clearFound(
  { engine, keys, tenant, onRemoved }: ClearContext,
  node: (args: readonly string[]) => Promise<unknown>,
  floors: ReadonlyMap<string, string>,
): Promise<void> {
  const pattern = headPattern(keys, tenant);
  let cursor = "0";
  do {
    const [next, names] = listOf(await node(["SCAN", cursor, "MATCH", pattern, "COUNT", String(SCAN_STEP)]));
    cursor = textOf(next);
    await Promise.all(
      listOf(names).map(async (name) => {
        const head = parseHeadName(keys, textOf(name));
        const floor = head && floors.get(head.base);
        if (head === undefined || floor === undefined) return;
        const args = [head.base, head.tenant, floor, escapeKey(head.key)];
        const [meta] = listOf(await engine.run(CLEAR_ONE, [textOf(name)], args));
        const record = bytesOf(meta);
        if (record !== undefined) onRemoved({ tenant: head.tenant, entries: [entryOf(head.key, record)] });
      }),
    );
  } while (cursor !== "0");
}

function entryOf(key: string, record: Buffer): IndexEntry {
  const decoded = decodeMeta(record);
  return { key, sizeBytes: typeof decoded === "string" ? 0 : decoded.meta.sizeBytes, expiresMs: 0 };
}
