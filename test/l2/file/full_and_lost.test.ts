import { expect, test } from "bun:test";
import { mkdirSync, readdirSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { FileAdapter } from "../../../src/l2/file/adapter.ts";
import { systemDisk } from "../../../src/l2/file/disk.ts";
import { FolderKeeper } from "../../../src/l2/file/folder_keeper.ts";
import { FileStore } from "../../../src/l2/file/store/file_store.ts";
import { codeOf, holds, key, pattern, sourceOf } from "../support.ts";
import { type Folder, withFolder } from "./folder.ts";

/** A tier whose owner looks after its folder only when it is told to. */
function keeping({ path, clock, publish }: Folder) {
  const options = { path, clock, publish, name: "fs", limitBytes: 0, sync: false };
  const open = (mayMake: boolean) => new FileStore({ ...options, mayMake });
  const keeper = new FolderKeeper({ ...options, open });
  return { tier: new FileAdapter({ ...options, folder: keeper }), keeper };
}

test("FileAdapter evicts down to what its disk may hold when others fill the disk", async () => {
  await withFolder(async (folder) => {
    let freeBytes = 10_000_000;
    // What the tier has written takes room, too.
    const used = () => folder.files().reduce((sum, file) => sum + statSync(file).size, 0);
    const space = () => ({ capacityBytes: 20_000_000, freeBytes: Math.max(0, freeBytes - used()) });
    const adapter = await folder.open({ limitBytes: 15_000_000, blockingDisk: { ...systemDisk, space } });
    for (let n = 0; n < 5; n += 1) await adapter.store(key(`${n}`), sourceOf(pattern(10_000, n)));
    // Of the tier's own limit a twentieth of the disk is kept free: 1 000 000.
    freeBytes = 1_005_000 + used();
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

test("FileStore.tidy removes what has expired, and counts it once", async () => {
  await withFolder(async (folder) => {
    const adapter = await folder.open();
    const expiresMs = folder.clock.nowMs() + 1000;
    for (let n = 0; n < 300; n += 1) await adapter.store(key(`${n}`), sourceOf(pattern(10), { meta: { expiresMs } }));
    await adapter.store(key("kept"), sourceOf(pattern(10)));
    folder.opened.store.tidy();
    expect((await adapter.usage()).objects).toBe(301);
    folder.clock.advance(2000);
    folder.opened.store.tidy();
    // A bounded number at once.
    expect((await adapter.usage()).objects).toBeLessThan(301);
    for (let turn = 0; turn < 10; turn += 1) folder.opened.store.tidy();
    expect((await adapter.usage()).objects).toBe(1);
    expect(folder.files().length).toBe(1);
    expect(folder.left.filter((line) => line.startsWith("expired")).length).toBe(300);
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
      const { tier, keeper } = keeping(folder);
      await tier.store(key("a"), sourceOf(pattern(10)));
      take(folder.path);
      keeper.look();
      expect(keeper.trouble).toContain("is not there");
      expect(await codeOf(tier.load(key("a")))).toBe("tier_failed");
      expect(await codeOf(tier.store(key("b"), sourceOf(pattern(10))))).toBe("tier_failed");
      expect(await codeOf(tier.usage())).toBe("tier_failed");
      back(folder.path);
      keeper.look();
      expect(keeper.trouble).toBe(undefined);
      await tier.store(key("b"), sourceOf(pattern(10, 2)));
      expect(await holds(tier, key("b"), pattern(10, 2))).toBe(true);
      expect(folder.removed.filter((line) => line.startsWith("l2.state.changed")).length).toBe(2);
      await tier.close();
    });
  });
}

test("a file tier goes on with all objects when its index is deleted or overwritten while it runs", async () => {
  await withFolder(async (folder) => {
    const { tier, keeper } = keeping(folder);
    await tier.store(key("a"), sourceOf(pattern(10)));
    for (const suffix of ["", "-wal", "-shm"]) rmSync(join(folder.path, `index.sqlite${suffix}`), { force: true });
    expect(await codeOf(tier.store(key("b"), sourceOf(pattern(10))))).toBe("tier_failed");
    keeper.look();
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
    const taken = readdirSync(at("objects"));
    writeFileSync(at(`objects/${taken.includes("00") ? "01" : "00"}`), "a file");
    expect(await holds(await folder.open(), key("a"), pattern(10))).toBe(true);
    expect(readdirSync(folder.path).some((name) => name.startsWith("index.sqlite.aside-"))).toBe(true);
  });
});
