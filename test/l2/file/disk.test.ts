import { expect, test } from "bun:test";
import { type Disk, openDisk } from "../../../src/l2/file/disk.ts";
import { codeOf, holds, key, pattern, sourceOf } from "../support.ts";
import { withFolder } from "./folder.ts";

/** A disk on which `fails` decides about every call, by name and path. */
function brokenDisk(fails: (call: keyof Disk | "write" | "sync", path: string) => string | undefined): Disk {
  const disk = openDisk({ sync: false });
  const check = (call: keyof Disk | "write" | "sync", path: string): void => {
    const code = fails(call, path);
    if (code !== undefined) throw Object.assign(new Error(`${code}: injected`), { code });
  };
  return {
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
    async rename(from, to) {
      check("rename", to);
      await disk.rename(from, to);
    },
    async remove(path) {
      check("remove", path);
      await disk.remove(path);
    },
    async syncFolder(path) {
      check("syncFolder", path);
      await disk.syncFolder(path);
    },
    space: (path) => disk.space(path),
  };
}

test("FileAdapter evicts and goes on when the disk is full once", async () => {
  await withFolder(async (folder) => {
    let full = false;
    const adapter = await folder.open({
      disk: brokenDisk((call) => {
        if (call !== "write" || !full) return undefined;
        full = false;
        return "ENOSPC";
      }),
    });
    await adapter.store(key("old"), sourceOf(pattern(10_000)));
    full = true;
    await adapter.store(key("new"), sourceOf(pattern(10_000, 2)));
    expect(await holds(adapter, key("new"), pattern(10_000, 2))).toBe(true);
    expect(folder.removed).toEqual(["capacity  1 10000"]);
  });
});

test("FileAdapter says no_room and keeps nothing when the disk stays full", async () => {
  await withFolder(async (folder) => {
    const adapter = await folder.open({ disk: brokenDisk((call) => call === "write" ? "ENOSPC" : undefined) });
    expect(await codeOf(adapter.store(key("a"), sourceOf(pattern(10_000))))).toBe("no_room");
    expect(folder.files()).toEqual([]);
  });
});

for (const broken of ["create", "write", "sync", "rename", "syncFolder"] as const) {
  test(`FileAdapter fails the store and leaves what was there when ${broken} fails`, async () => {
    await withFolder(async (folder) => {
      let on = false;
      const adapter = await folder.open({ disk: brokenDisk((call) => on && call === broken ? "EIO" : undefined) });
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
    const adapter = await folder.open({ disk: brokenDisk((call) => on && call === "open" ? "EMFILE" : undefined) });
    await adapter.store(key("a"), sourceOf(pattern(10)));
    on = true;
    expect(await codeOf(adapter.load(key("a")))).toBe("tier_failed");
    on = false;
    expect(await holds(adapter, key("a"), pattern(10))).toBe(true);
  });
});

test("FileAdapter syncs file and folder before it acknowledges when fsync is on", async () => {
  await withFolder(async (folder) => {
    const calls: string[] = [];
    const disk = brokenDisk((call, path) => {
      if (call !== "write") calls.push(`${call} ${path.endsWith(".tmp") ? "temp" : ""}`.trim());
      return undefined;
    });
    const adapter = await folder.open({ disk });
    await adapter.store(key("a"), sourceOf(pattern(10)));
    expect(calls.splice(0)).toEqual(["create temp", "sync temp", "rename", "syncFolder"]);
    await adapter.delete(key("a"));
    expect(calls).toEqual(["remove", "syncFolder"]);
  });
});
