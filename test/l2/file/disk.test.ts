import { expect, test } from "bun:test";
import { readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type BlockingDisk, type Disk, openDisk, systemDisk } from "../../../src/l2/file/disk.ts";
import { codeOf, holds, key, pattern, sourceOf } from "../support.ts";
import { withFolder } from "./folder.ts";

/** What the threads that use a folder do with large files, and what its owner does. */
type DiskCall =
  | "create"
  | "write"
  | "sync"
  | "open"
  | "remove"
  | "rename"
  | "syncFolder"
  | "owner syncs"
  | "owner removes";

/** Both disks of a folder, on which `fails` decides about every call, by name and path. */
function brokenDisk(
  fails: (call: DiskCall, path: string) => string | undefined,
): { readonly disk: Disk; readonly blockingDisk: BlockingDisk } {
  const disk = openDisk({ sync: false });
  const check = (call: DiskCall, path: string): void => {
    const code = fails(call, path);
    if (code !== undefined) throw Object.assign(new Error(`${code}: injected`), { code });
  };
  return {
    disk: {
      async create(path) {
        check("create", path);
        const file = await disk.create(path);
        return {
          ...file,
          async write(bytes, position) {
            check("write", path);
            await file.write(bytes, position);
          },
          async sync() {
            check("sync", path);
            await file.sync();
          },
        };
      },
      async open(path) {
        check("open", path);
        return await disk.open(path);
      },
      async remove(path) {
        check("remove", path);
        await disk.remove(path);
      },
    },
    blockingDisk: {
      ...systemDisk,
      rename(from, to) {
        check("rename", to);
        systemDisk.rename(from, to);
      },
      remove(path) {
        check("owner removes", path);
        systemDisk.remove(path);
      },
      sync(file) {
        check("owner syncs", "");
        systemDisk.sync(file);
      },
      syncFolder(path) {
        check("syncFolder", path);
        systemDisk.syncFolder(path);
      },
    },
  };
}

test("FileAdapter evicts and goes on when the disk is full once", async () => {
  await withFolder(async (folder) => {
    let full = false;
    const adapter = await folder.open(brokenDisk((call) => {
      if (call !== "write" || !full) return undefined;
      full = false;
      return "ENOSPC";
    }));
    await adapter.store(key("old"), sourceOf(pattern(10_000)));
    full = true;
    await adapter.store(key("new"), sourceOf(pattern(10_000, 2)));
    expect(await holds(adapter, key("new"), pattern(10_000, 2))).toBe(true);
    expect(folder.removed).toEqual(["capacity  1 10000"]);
  });
});

test("FileAdapter says no_room and keeps nothing when the disk stays full", async () => {
  await withFolder(async (folder) => {
    const adapter = await folder.open(brokenDisk((call) => call === "write" ? "ENOSPC" : undefined));
    expect(await codeOf(adapter.store(key("a"), sourceOf(pattern(10_000))))).toBe("no_room");
    expect(folder.files()).toEqual([]);
  });
});

for (const broken of ["create", "write", "sync", "rename", "syncFolder"] as const) {
  test(`FileAdapter fails the store and leaves what was there when ${broken} fails`, async () => {
    await withFolder(async (folder) => {
      let on = false;
      const adapter = await folder.open({
        ...brokenDisk((call) => on && call === broken ? "EIO" : undefined),
        sync: true,
      });
      await adapter.store(key("a"), sourceOf(pattern(10)));
      on = true;
      expect(await codeOf(adapter.store(key("a"), sourceOf(pattern(20))))).toBe("tier_failed");
      on = false;
      expect(await holds(adapter, key("a"), pattern(10))).toBe(true);
      expect(folder.files().length).toBe(1);
      await adapter.close();
      expect(await holds(await folder.open(), key("a"), pattern(10))).toBe(true);
    });
  });
}

test("FileAdapter fails and does not remove the object when a file cannot be opened", async () => {
  await withFolder(async (folder) => {
    let on = false;
    const adapter = await folder.open(brokenDisk((call) => on && call === "open" ? "EMFILE" : undefined));
    await adapter.store(key("a"), sourceOf(pattern(10)));
    on = true;
    expect(await codeOf(adapter.load(key("a")))).toBe("tier_failed");
    on = false;
    expect(await holds(adapter, key("a"), pattern(10))).toBe(true);
  });
});

test("FileAdapter syncs the file, its folder and the record, in this order, before it acknowledges when fsync is on", async () => {
  await withFolder(async (folder) => {
    const calls: string[] = [];
    const disks = brokenDisk((call, path) => {
      if (call !== "write") calls.push(`${call} ${/tmp$|segments/.exec(path)?.[0] ?? ""}`.trim());
      return undefined;
    });
    const adapter = await folder.open({ ...disks, sync: true });
    await adapter.store(key("a"), sourceOf(pattern(10)));
    expect(calls.splice(0)).toEqual([
      "create tmp",
      "sync tmp",
      // Its folder is made when it turns out to be missing.
      "rename",
      "rename",
      "syncFolder",
      "syncFolder segments",
      "owner syncs",
    ]);
    await adapter.delete(key("a"));
    expect(calls).toEqual(["owner syncs", "owner removes"]);
  });
});

test("FileAdapter.store puts what stands in the place of an object's folder aside", async () => {
  await withFolder(async (folder) => {
    const adapter = await folder.open({ sync: false });
    const folders = join(folder.path, "objects");
    for (let at = 0; at < 256; at += 1) writeFileSync(join(folders, at.toString(16).padStart(2, "0")), "");
    await adapter.store(key("a"), sourceOf(pattern(10_000)));
    expect(await holds(adapter, key("a"), pattern(10_000))).toBe(true);
    expect(readdirSync(folders).filter((name) => name.includes(".aside-")).length).toBe(1);
  });
});
