import { expect, test } from "bun:test";
import fc from "fast-check";
import { cpSync, readFileSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import type { ObjectMeta } from "../../../src/core/object.ts";
import { FileAdapter } from "../../../src/l2/file/adapter.ts";
import { systemDisk, withoutSync } from "../../../src/l2/file/disk.ts";
import { FolderKeeper } from "../../../src/l2/file/folder_keeper.ts";
import { openStore } from "../../../src/l2/file/store/open_store.ts";
import { type Bench, inFolder, key, newBench, pattern, readAll, sourceOf } from "../support.ts";

/** Bytes and metadata by key. */
type Stored = ReadonlyMap<string, { readonly bytes: Uint8Array; readonly meta: ObjectMeta }>;

const SIZES = [0, 1, 700, 40_000, 140_000];
const OBJECTS = 40;

interface Tier extends Bench {
  readonly adapter: FileAdapter;
  readonly keeper: FolderKeeper;
}

function openTier(path: string): Tier {
  const bench = newBench();
  // With `sync` the index is not checked as a whole at the start.
  const options = { name: "fs", path, limitBytes: 0, sync: true, ...bench };
  const disk = withoutSync(systemDisk);
  const keeper = new FolderKeeper({ ...options, open: (mayMake) => openStore({ ...options, disk, mayMake }) });
  return { ...bench, keeper, adapter: new FileAdapter({ ...options, folder: keeper }) };
}

/** Fills a folder with objects of which some were replaced and deleted. */
async function fill(path: string): Promise<Stored> {
  const { adapter } = openTier(path);
  const stored = new Map<string, { bytes: Uint8Array; meta: ObjectMeta }>();
  for (let i = 0; i < OBJECTS; i += 1) {
    const name = `some/key ${i}`;
    const bytes = pattern(SIZES[i % SIZES.length] ?? 0, i + 2);
    const meta = { contentType: `text/x-${i}`, headers: `vitrine-meta-a:${i}\n` };
    if (i % 3 === 0) await adapter.store(key(name, "t"), sourceOf(pattern(50, i)));
    await adapter.store(key(name, "t"), sourceOf(bytes, { meta }));
    const found = await adapter.lookup(key(name, "t"));
    if (found !== undefined) stored.set(name, { bytes, meta: found });
  }
  for (const name of ["some/key 5", "some/key 9"]) {
    await adapter.delete(key(name, "t"));
    stored.delete(name);
  }
  await adapter.close();
  return stored;
}

/** Returns what the tier gives for a key in place of what was stored: "right", "miss", or what is wrong. */
async function read({ adapter }: Tier, name: string, stored: Stored): Promise<string> {
  const expected = stored.get(name);
  const load = await adapter.load(key(name, "t"));
  const found = await adapter.lookup(key(name, "t"));
  if (load === undefined) return found === undefined ? "miss" : "metadata without an object";
  if (expected === undefined) return "an object that was deleted";
  expect(load.meta).toEqual(expected.meta);
  expect(found).toEqual(expected.meta);
  return Buffer.compare(await readAll(load) ?? pattern(1), expected.bytes) === 0 ? "right" : "other bytes";
}

const damage = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({ kind: fc.constant("flip"), where: fc.array(fc.nat(), { minLength: 1, maxLength: 5 }) }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constant("overwrite"), where: fc.array(fc.nat(), { minLength: 1, maxLength: 2 }) }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constant("cut"), where: fc.array(fc.nat(), { minLength: 1, maxLength: 1 }) }),
  },
);

function harm(file: string, kind: string, where: readonly number[]): void {
  const bytes = readFileSync(file);
  for (const each of where) {
    const at = each % bytes.length;
    if (kind === "flip") bytes[at] = (bytes[at] ?? 0) ^ (1 << (each % 8));
    else if (kind === "overwrite") bytes.set(pattern(Math.min(500, bytes.length - at), each + 1), at);
    else return truncateSync(file, at);
  }
  writeFileSync(file, bytes);
}

test("a damaged index gives no wrong byte or field, starts, and is built again, when any bits of it flip", async () => {
  await inFolder(async (folder) => {
    const stored = await fill(join(folder, "whole"));
    const names = [...Array.from({ length: OBJECTS }, (_, i) => `some/key ${i}`)];
    await fc.assert(
      fc.asyncProperty(damage, async ({ kind, where }) => {
        const path = join(folder, "damaged");
        rmSync(path, { recursive: true, force: true });
        cpSync(join(folder, "whole"), path, { recursive: true });
        harm(join(path, "index.sqlite"), kind, where);
        const tier = openTier(path);
        for (const name of names) {
          expect(["right", "miss"]).toContain(await read(tier, name, stored));
        }
        await tier.adapter.list({ tenant: "t", prefix: "", after: "", limit: 1000 });
        await tier.adapter.store(key("new", "t"), sourceOf(pattern(10)));
        expect(await tier.adapter.delete(key("new", "t"))).toBe(true);
        tier.keeper.look();
        expect(tier.removed.filter((line) => line.startsWith("l2.cleanup_failed"))).toEqual([]);
        await tier.adapter.close();
      }),
      { numRuns: Number(process.env["INDEX_DAMAGE_RUNS"] ?? 25) },
    );
  });
});

test("a changed content type in the index is never served: the index is built again, and nothing is lost", async () => {
  await inFolder(async (path) => {
    const stored = await fill(path);
    const index = join(path, "index.sqlite");
    writeFileSync(index, readFileSync(index, "latin1").replaceAll("text/x-7", "text/y-7"), "latin1");
    const tier = openTier(path);
    expect(await read(tier, "some/key 7", stored)).toBe("right");
    expect(tier.removed.filter((line) => line.startsWith("l2.state.changed")).length).toBe(2);
    for (const name of stored.keys()) expect(await read(tier, name, stored)).toBe("right");
    await tier.adapter.close();
  });
});

test("an index that is no database is built again at the start, which is told once it is used", async () => {
  await inFolder(async (path) => {
    const stored = await fill(path);
    writeFileSync(join(path, "index.sqlite"), pattern(9000));
    const tier = openTier(path);
    const told = (): readonly string[] => tier.removed.filter((line) => line.startsWith("l2.state.changed"));
    tier.keeper.look();
    expect(told()).toEqual([]);
    for (const name of stored.keys()) expect(await read(tier, name, stored)).toBe("right");
    tier.keeper.look();
    tier.keeper.look();
    expect(told().length).toBe(2);
    await tier.adapter.close();
  });
});
