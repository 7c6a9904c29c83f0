import { type Dropped, entriesOf } from "./books.ts";
import type { Engine } from "./engine.ts";
import {
  escapeKey,
  headPattern,
  type IndexEntry,
  type KeySpace,
  parseHeadName,
  stateName,
  tenantsName,
} from "./keys.ts";
import { decodeMeta } from "./record.ts";
import { bytesOf, listOf, textOf } from "./replies.ts";
import { CLEAR, CLEAR_ONE, FLOOR } from "./scripts.ts";

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
  /** Called with the removed entries after each step. */
  readonly onRemoved: (dropped: Dropped) => void;
}

/**
 * Removes every object, or one tenant's, that was there at the call. It first removes what is in the indexes, then
 * scans all names in the engine, because with an allkeys-* policy the indexes themselves may have been evicted.
 */
export async function clearObjects(context: ClearContext): Promise<void> {
  const { engine, keys, tenant } = context;
  const field = tenant === undefined ? "floor" : `floor:${tenant}`;
  const floors = new Map<string, string>();
  await Promise.all(keys.bases.map(async (base) => {
    const floor = textOf(await engine.run(FLOOR, [stateName(base)], [base, "", field]));
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
      const behind = bytesOf(next);
      cursor = behind?.length === 0 ? undefined : behind;
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
