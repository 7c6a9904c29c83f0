import { expect, test } from "bun:test";
import { mkdirSync, readdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { FileAdapter } from "../../../src/l2/file.ts";
import { openDisk } from "../../../src/l2/file/disk.ts";
import { ReopeningAdapter } from "../../../src/l2/file/reopening.ts";
import { codeOf, holds, key, pattern, sourceOf } from "../support.ts";
import { type Folder, withFolder } from "./folder.ts";

/** A tier that looks after its folder only when it is told to. */
async function reopening(folder: Folder): Promise<ReopeningAdapter> {
  const open = (mayMake: boolean) => FileAdapter.open({ ...folder, name: "fs", limitBytes: 0, sync: false, mayMake });
  return new ReopeningAdapter(await open(true), {
    name: "fs",
    publish: folder.publish,
    open: () => open(false),
    every: () => () => {},
  });
}

test("FileAdapter evicts down to what its disk may hold when others fill the disk", async () => {
  await withFolder(async (folder) => {
    let freeBytes = 10_000_000;
    const space = () => Promise.resolve({ capacityBytes: 20_000_000, freeBytes });
    const adapter = await folder.open({ disk: { ...openDisk({ sync: false }), space } });
    for (let n = 0; n < 5; n += 1) await adapter.store(key(`${n}`), sourceOf(pattern(10_000, n)));
    // Of the tier's own limit a twentieth of the disk is kept free: 1 000 000.
    freeBytes = 1_005_000;
    folder.clock.advance(1000);
    await adapter.store(key("new"), sourceOf(pattern(10_000, 9)));
    expect(await holds(adapter, key("new"), pattern(10_000, 9))).toBe(true);
    expect((await adapter.usage()).objects < 6).toBe(true);
    freeBytes = 0;
    folder.clock.advance(1000);
    expect(await codeOf(adapter.store(key("more"), sourceOf(pattern(10_000))))).toBe("no_room");
    freeBytes = 10_000_000;
    folder.clock.advance(1000);
    await adapter.store(key("more"), sourceOf(pattern(10_000)));
  });
});

test("FileAdapter.upkeep removes what has expired, and counts it once", async () => {
  await withFolder(async (folder) => {
    const adapter = await folder.open();
    const expiresMs = folder.clock.nowMs() + 1000;
    for (let n = 0; n < 300; n += 1) await adapter.store(key(`${n}`), sourceOf(pattern(10), { meta: { expiresMs } }));
    await adapter.store(key("kept"), sourceOf(pattern(10)));
    await adapter.upkeep();
    expect((await adapter.usage()).objects).toBe(301);
    folder.clock.advance(2000);
    await adapter.upkeep();
    expect((await adapter.usage()).objects).toBe(1);
    expect(folder.files().length).toBe(1);
    expect(folder.left.filter((line) => line.startsWith("expired")).length).toBe(300);
  });
});

test("FileAdapter waits for a lock of another process without holding the event loop, and reads meanwhile", async () => {
  await withFolder(async (folder) => {
    const adapter = await folder.open();
    await adapter.store(key("a"), sourceOf(pattern(10)));
    const other = new DatabaseSync(join(folder.path, "index.sqlite"));
    other.exec("BEGIN IMMEDIATE");
    let stored = 0;
    const stores = Array.from({ length: 20 }, async (_, n) => {
      await adapter.store(key(`new ${n}`), sourceOf(pattern(10, n)));
      stored += 1;
    });
    for (let turn = 0; turn < 20; turn += 1) {
      await new Promise((resolve) => setTimeout(resolve, 1));
      expect(await holds(adapter, key("a"), pattern(10))).toBe(true);
    }
    expect(stored).toBe(0);
    other.exec("ROLLBACK");
    other.close();
    await Promise.all(stores);
    expect((await adapter.usage()).objects).toBe(21);
  });
});

test("FileAdapter.clear says when nothing is visible any more, and stores go on beside the rest", async () => {
  await withFolder(async (folder) => {
    const adapter = await folder.open();
    for (let n = 0; n < 600; n += 1) await adapter.store(key(`${n}`), sourceOf(pattern(10)));
    let storing = Promise.resolve<unknown>(undefined);
    const count = await adapter.clear(undefined, () => {
      storing = adapter.store(key("0"), sourceOf(pattern(20)));
    });
    await storing;
    expect(count).toBe(600);
    expect(await holds(adapter, key("0"), pattern(20))).toBe(true);
    expect((await adapter.usage()).objects).toBe(1);
    expect(folder.files().length).toBe(1);
    expect(folder.left.filter((line) => line.startsWith("cleared")).length).toBe(600);
  });
});

for (
  const [what, take, back] of [
    [
      "moved away",
      (path: string) => renameSync(path, `${path}-away`),
      (path: string) => renameSync(`${path}-away`, path),
    ],
    ["removed", (path: string) => rmSync(path, { recursive: true }), (path: string) => mkdirSync(path)],
  ] as const
) {
  test(`a file tier fails while its folder is ${what}, says so, and goes on when it is there again`, async () => {
    await withFolder(async (folder) => {
      const tier = await reopening(folder);
      await tier.store(key("a"), sourceOf(pattern(10)));
      take(folder.path);
      await tier.look();
      expect(tier.trouble).toContain("is not there");
      expect(await codeOf(tier.load(key("a")))).toBe("tier_failed");
      expect(await codeOf(tier.store(key("b"), sourceOf(pattern(10))))).toBe("tier_failed");
      expect(await codeOf(tier.usage())).toBe("tier_failed");
      back(folder.path);
      await tier.look();
      expect(tier.trouble).toBe(undefined);
      await tier.store(key("b"), sourceOf(pattern(10, 2)));
      expect(await holds(tier, key("b"), pattern(10, 2))).toBe(true);
      expect(folder.removed.filter((line) => line.startsWith("l2.state.changed")).length).toBe(2);
      await tier.close();
    });
  });
}

test("a file tier goes on with all objects when its index is deleted or overwritten while it runs", async () => {
  await withFolder(async (folder) => {
    const tier = await reopening(folder);
    await tier.store(key("a"), sourceOf(pattern(10)));
    for (const suffix of ["", "-wal", "-shm"]) rmSync(join(folder.path, `index.sqlite${suffix}`), { force: true });
    expect(await codeOf(tier.store(key("b"), sourceOf(pattern(10))))).toBe("tier_failed");
    await tier.look();
    expect(await holds(tier, key("a"), pattern(10))).toBe(true);
    await tier.close();
  });
});

test("FileAdapter opens over junk in the place of its files and folders", async () => {
  await withFolder(async (folder) => {
    const first = await folder.open();
    await first.store(key("a"), sourceOf(pattern(10)));
    await first.close();
    const at = (name: string): string => join(folder.path, name);
    for (const name of ["lock.sqlite", "state", "reserve"]) writeFileSync(at(name), "junk ".repeat(2000));
    rmSync(at("index.sqlite"));
    mkdirSync(at("index.sqlite"));
    const empty = readdirSync(at("objects")).find((name) => readdirSync(at(`objects/${name}`)).length === 0) ?? "";
    rmSync(at(`objects/${empty}`), { recursive: true });
    writeFileSync(at(`objects/${empty}`), "a file");
    expect(await holds(await folder.open(), key("a"), pattern(10))).toBe(true);
    expect(readdirSync(folder.path).some((name) => name.startsWith("index.sqlite.aside-"))).toBe(true);
  });
});
