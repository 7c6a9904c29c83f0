import { expect, test } from "bun:test";
import { spawnSync } from "node:child_process";
import { readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { FileAdapter, openOwnFolder } from "../../../src/l2/file/adapter.ts";
import { FolderLock } from "../../../src/l2/file/store/identity.ts";
import { adapterConformance } from "../conformance.ts";
import { fixtures } from "../fixtures.ts";
import { codeOf, holds, inFolder, key, pattern, sourceOf } from "../support.ts";
import { callsOf, withFolder } from "./folder.ts";
import { LineAdapter } from "./line.ts";

adapterConformance(fixtures["file:"]);

test("FileAdapter evicts down to the limit when it starts with a lower one", async () => {
  await withFolder(async (folder) => {
    const first = await folder.open();
    for (let n = 0; n < 10; n += 1) {
      folder.clock.advance(1);
      await first.store(key(`${n}`), sourceOf(pattern(10_000)));
    }
    await first.close();
    const second = await folder.open({ limitBytes: 35_000 });
    expect((await second.usage()).objects).toBe(3);
    expect(await second.lookup(key("9")) !== undefined).toBe(true);
    expect(folder.files().length).toBe(3);
  });
});

test("FileAdapter accounts exactly the bytes of its files when objects come and go", async () => {
  await withFolder(async (folder) => {
    const adapter = await folder.open({ limitBytes: 100_000 });
    for (let n = 0; n < 40; n += 1) {
      folder.clock.advance(1);
      await adapter.store(key(`${n % 13}`), sourceOf(pattern(n * 700, n), { sized: n % 3 === 0 }));
      const segments = readdirSync(join(folder.path, "segments")).map((name) => join(folder.path, "segments", name));
      const onDisk = [...folder.files(), ...segments].reduce((sum, file) => sum + statSync(file).size, 0);
      expect((await adapter.usage()).usedBytes).toBe(onDisk);
      expect(onDisk <= 100_000).toBe(true);
    }
  });
});

test("FileAdapter gives reserved room back when stores fail", async () => {
  await withFolder(async (folder) => {
    const adapter = await folder.open({ limitBytes: 100_000 });
    for (let n = 0; n < 10; n += 1) {
      expect(await codeOf(adapter.store(key("a"), sourceOf(pattern(90_000), { meta: { crc32: 1 } })))).toBe(
        "tier_failed",
      );
    }
    await adapter.store(key("a"), sourceOf(pattern(90_000)));
    expect(folder.files().length).toBe(1);
  });
});

test("FileAdapter shares a folder when two have one owner", async () => {
  for (const recordLimitBytes of [0, 20_000]) {
    await withFolder(async (folder) => {
      const one = await folder.open({ limitBytes: 50_000, recordLimitBytes });
      const { store } = folder.opened;
      // The owner outlives those who use it.
      const calls = { ...callsOf(store), close: () => Promise.resolve() };
      const settings = { name: "fs", path: folder.path, limitBytes: 50_000, sync: false, recordLimitBytes };
      const two = new FileAdapter({ ...settings, folder: calls });
      for (let n = 0; n < 10; n += 1) {
        await (n % 2 === 0 ? one : two).store(key(`${n}`), sourceOf(pattern(10_000, n)));
        expect(await holds(n % 2 === 0 ? two : one, key(`${n}`), pattern(10_000, n))).toBe(true);
      }
      expect(await one.usage()).toEqual(await two.usage());
      const { objects, usedBytes } = await one.usage();
      expect([objects > 0, usedBytes <= 50_000]).toEqual([true, true]);
      if (recordLimitBytes === 0) expect(objects).toBe(4);
      await two.close();
      expect(await holds(one, key("9"), pattern(10_000, 9))).toBe(true);
    });
  }
});

adapterConformance({
  name: "file, every object in a file of its own",
  persistent: true,
  open: (path, options) =>
    Promise.resolve(openOwnFolder({ ...options, name: "fs", path, sync: false, recordLimitBytes: 0 }).adapter),
});

adapterConformance({
  name: "file over a line",
  persistent: true,
  open: (path, options) => Promise.resolve(new LineAdapter({ ...options, name: "fs", path, sync: false })),
});

adapterConformance({
  name: "file over a line, every object in a file of its own",
  persistent: true,
  open: (path, options) =>
    Promise.resolve(new LineAdapter({ ...options, name: "fs", path, sync: false, recordLimitBytes: 0 })),
});

test("FolderLock refuses a second holder until the first has let go", async () => {
  await inFolder(async (folder) => {
    const path = join(folder, "lock.sqlite");
    const take = (): Promise<FolderLock> => Promise.resolve().then(() => new FolderLock(path));
    const first = await take();
    expect(await codeOf(take())).toBe("tier_failed");
    first.release();
    (await take()).release();
  });
});

const TAKE_LOCK = `import { DatabaseSync } from "node:sqlite";
new DatabaseSync(process.argv.at(-1)).exec("BEGIN EXCLUSIVE");`;

/** What another process says when it takes the lock of a database. */
function takeElsewhere(path: string): string {
  const runtime = process.versions["bun"] === undefined ? ["eval", "--ext=mjs"] : ["--eval"];
  return spawnSync(process.execPath, [...runtime, TAKE_LOCK, path], { encoding: "utf8" }).stderr;
}

test("the lock of a folder keeps other processes out when somebody has asked whether the folder can be used", async () => {
  await withFolder(async (folder) => {
    await folder.open();
    expect(folder.opened.store.trouble).toBeUndefined();
    expect(takeElsewhere(join(folder.path, "lock.sqlite"))).toContain("database is locked");
  });
});
