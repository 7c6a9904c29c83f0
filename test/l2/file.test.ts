import { expect, test } from "bun:test";
import fc from "fast-check";
import { spawn } from "node:child_process";
import {
  appendFileSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { createInterface } from "node:readline";
import { DatabaseSync } from "node:sqlite";
import { FileAdapter } from "../../src/l2/file.ts";
import { type Disk, openDisk } from "../../src/l2/file/disk.ts";
import { adapterConformance } from "./conformance.ts";
import { fixtures } from "./fixtures.ts";
import { type Bench, codeOf, holds, inFolder, key, newBench, pattern, readAll, sourceOf } from "./support.ts";

adapterConformance(fixtures["file:"]);

const MIB = 1024 * 1024;

interface Folder extends Bench {
  readonly path: string;
  open(over?: { readonly limitBytes?: number; readonly disk?: Disk; readonly sync?: boolean }): Promise<FileAdapter>;
  /** Full paths of everything under objects/. */
  files(): readonly string[];
  /** The one file under objects/. */
  file(): string;
}

async function withFolder(body: (folder: Folder) => Promise<void>): Promise<void> {
  await inFolder(async (path) => {
    const bench = newBench();
    const adapters: FileAdapter[] = [];
    const files = (): readonly string[] =>
      readdirSync(join(path, "objects"), { recursive: true, withFileTypes: true })
        .filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name)).toSorted();
    try {
      await body({
        ...bench,
        path,
        files,
        file() {
          const [only = ""] = files();
          return only;
        },
        async open(over) {
          const adapter = await FileAdapter.open({ ...bench, name: "fs", path, limitBytes: 0, sync: false, ...over });
          adapters.push(adapter);
          return adapter;
        },
      });
    } finally {
      for (const adapter of adapters) await adapter.close();
    }
  });
}

/** Puts one object into the folder, closes, and lets `craft` do something to its file. */
async function craft(folder: Folder, bytes: Uint8Array, change: (file: string) => void): Promise<void> {
  const adapter = await folder.open();
  await adapter.store(key("a", "t"), sourceOf(bytes));
  await adapter.close();
  change(folder.file());
}

function flipBit(file: string, at: number): void {
  const bytes = readFileSync(file);
  bytes[at] = (bytes[at] ?? 0) ^ (1 << (at % 8));
  writeFileSync(file, bytes);
}

/** As after a power loss: the boot id the last run noted is another one. */
function loseTrust(folder: Folder): void {
  writeFileSync(join(folder.path, "state"), "another-boot");
}

test("FileAdapter never hands out a wrong byte when any bit of a file flips", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom(0, 1, 5000, MIB + 3000),
      fc.nat(),
      fc.boolean(),
      (size, where, rebuild) =>
        withFolder(async (folder) => {
          const bytes = pattern(size);
          await craft(folder, bytes, (file) => {
            // Every second flip goes into table, metadata or footer, which are short.
            const { size: fileBytes } = statSync(file);
            flipBit(file, where % 2 === 0 ? where % fileBytes : size + where % (fileBytes - size));
          });
          if (rebuild) loseTrust(folder);
          const adapter = await folder.open();
          const outcome = await readAll(await adapter.load(key("a", "t"))).catch((error: unknown) => error);
          expect(outcome === undefined || outcome instanceof Error).toBe(true);
          expect(await adapter.lookup(key("a", "t"))).toBe(undefined);
          expect(folder.files()).toEqual([]);
          expect(folder.removed.length).toBe(1);
          expect(folder.removed[0]?.startsWith("corrupt")).toBe(true);
          expect(await adapter.usage()).toMatchObject({ objects: 0, usedBytes: 0 });
        }),
    ),
    { numRuns: 25 },
  );
});

test("FileAdapter misses and removes the file when it is cut at any boundary or grown", async () => {
  const size = MIB + 10;
  await withFolder(async (folder) => {
    for (const rebuild of [false, true]) {
      for (const cut of [0, 1, MIB, size - 1, size, size + 4, size + 8, size + 100, -28, -27, -1, +1]) {
        await craft(folder, pattern(size), (file) => {
          if (cut === 1) appendFileSync(file, "x");
          else truncateSync(file, cut < 0 ? statSync(file).size + cut : cut);
        });
        if (rebuild) loseTrust(folder);
        const adapter = await folder.open();
        expect(await adapter.load(key("a", "t"))).toBe(undefined);
        expect(folder.files()).toEqual([]);
        expect(folder.removed.splice(0).length).toBe(1);
        await adapter.close();
      }
    }
  });
});

test("FileAdapter fails the load and removes the object when a later block is damaged", async () => {
  await withFolder(async (folder) => {
    await craft(folder, pattern(3 * MIB), (file) => flipBit(file, 2 * MIB + 5));
    const adapter = await folder.open();
    const load = await adapter.load(key("a", "t"));
    let good = 0;
    const reading = (async () => {
      for await (const chunk of load?.chunks ?? []) good += chunk.length;
    })();
    expect(await codeOf(reading)).toBe("tier_failed");
    expect(good).toBe(2 * MIB);
    expect(folder.removed).toEqual([`corrupt t 1 ${3 * MIB}`]);
    expect(await adapter.load(key("a", "t"))).toBe(undefined);
  });
});

test("FileAdapter serves a range when only blocks outside of it are damaged", async () => {
  await withFolder(async (folder) => {
    await craft(folder, pattern(3 * MIB), (file) => flipBit(file, 5));
    const adapter = await folder.open();
    const part = await readAll(await adapter.load(key("a", "t"), { start: MIB + 1, end: 2 * MIB }));
    expect(Buffer.compare(part ?? pattern(0), pattern(3 * MIB).subarray(MIB + 1, 2 * MIB))).toBe(0);
  });
});

test("FileAdapter misses when the file was removed by somebody", async () => {
  await withFolder(async (folder) => {
    const adapter = await folder.open();
    await adapter.store(key("a", "t"), sourceOf(pattern(10)));
    rmSync(folder.file());
    expect(await adapter.load(key("a", "t"))).toBe(undefined);
    expect(folder.removed).toEqual(["corrupt t 1 10"]);
  });
});

test("FileAdapter misses when a file holds another object", async () => {
  await withFolder(async (folder) => {
    let other = "";
    await craft(folder, pattern(10), (file) => (other = readFileSync(file, "latin1")));
    const adapter = await folder.open();
    await adapter.delete(key("a", "t"));
    await adapter.store(key("b", "t"), sourceOf(pattern(10)));
    writeFileSync(folder.file(), other, "latin1");
    expect(await adapter.load(key("b", "t"))).toBe(undefined);
  });
});

for (const how of ["clean", "rebuild", "no index", "bad index", "other schema"] as const) {
  test(`FileAdapter finds every object again when it starts with: ${how}`, async () => {
    await withFolder(async (folder) => {
      const first = await folder.open();
      for (let n = 0; n < 20; n += 1) {
        await first.store(key(`k${n}`, n % 2 === 0 ? "" : "t"), sourceOf(pattern(n * 997, n)));
      }
      const usage = await first.usage();
      await first.close();
      const index = join(folder.path, "index.sqlite");
      if (how === "rebuild") loseTrust(folder);
      if (how === "no index") rmSync(index);
      if (how === "bad index") writeFileSync(index, pattern(50_000));
      if (how === "other schema") {
        const db = new DatabaseSync(index);
        db.exec("PRAGMA user_version = 999");
        db.close();
      }
      const again = await folder.open();
      expect(again.recovery).toEqual({
        leftovers: 0,
        adopted: how === "clean" ? 0 : 20,
        superseded: 0,
        corrupt: 0,
        missing: 0,
      });
      for (let n = 0; n < 20; n += 1) {
        expect(await holds(again, key(`k${n}`, n % 2 === 0 ? "" : "t"), pattern(n * 997, n))).toBe(true);
      }
      expect(await again.usage()).toEqual(usage);
    });
  });
}

test("FileAdapter removes the leftovers and keeps foreign files when it starts", async () => {
  await withFolder(async (folder) => {
    await craft(folder, pattern(10), (file) => {
      writeFileSync(join(dirname(file), "4711-abc-1.tmp"), pattern(1000));
      writeFileSync(join(dirname(file), "README"), "not ours");
    });
    const adapter = await folder.open();
    expect(adapter.recovery.leftovers).toBe(1);
    expect((await adapter.usage()).leftoversRemoved).toBe(1);
    expect(folder.files().length).toBe(2);
    expect(await holds(adapter, key("a", "t"), pattern(10))).toBe(true);
  });
});

test("FileAdapter keeps the newer object when it was killed between rename and index", async () => {
  await withFolder(async (folder) => {
    const first = await folder.open();
    await first.store(key("a"), sourceOf(pattern(100, 1)));
    const old = folder.file();
    copyFileSync(old, join(folder.path, "old"));
    await first.close();
    copyFileSync(join(folder.path, "index.sqlite"), join(folder.path, "index.old"));
    const second = await folder.open();
    await second.store(key("a"), sourceOf(pattern(100, 2)));
    await second.close();
    // Both files are there, and the index still says the old one.
    copyFileSync(join(folder.path, "old"), old);
    copyFileSync(join(folder.path, "index.old"), join(folder.path, "index.sqlite"));
    const third = await folder.open();
    expect(third.recovery.superseded).toBe(1);
    expect(await holds(third, key("a"), pattern(100, 2))).toBe(true);
    expect(folder.files().length).toBe(1);
  });
});

for (const rebuild of [false, true]) {
  test(`FileAdapter does not bring the old object back when it was killed before its removal${rebuild ? " and the index is lost" : ""}`, async () => {
    await withFolder(async (folder) => {
      const first = await folder.open();
      await first.store(key("a"), sourceOf(pattern(100, 1)));
      const old = folder.file();
      copyFileSync(old, join(folder.path, "old"));
      await first.store(key("a"), sourceOf(pattern(100, 2)));
      await first.close();
      copyFileSync(join(folder.path, "old"), old);
      if (rebuild) loseTrust(folder);
      const second = await folder.open();
      expect(second.recovery.superseded).toBe(1);
      expect(await holds(second, key("a"), pattern(100, 2))).toBe(true);
      expect(folder.files().length).toBe(1);
    });
  });
}

test("FileAdapter drops the entry when its file is gone at the start", async () => {
  await withFolder(async (folder) => {
    await craft(folder, pattern(10), (file) => rmSync(file));
    const adapter = await folder.open();
    expect(adapter.recovery.missing).toBe(1);
    expect(await adapter.lookup(key("a", "t"))).toBe(undefined);
    expect((await adapter.usage()).usedBytes).toBe(0);
  });
});

test("FileAdapter refuses a file under another object's name when it adopts", async () => {
  await withFolder(async (folder) => {
    await craft(folder, pattern(10), (file) => copyFileSync(file, join(dirname(file), `${"0".repeat(64)}-abc`)));
    const adapter = await folder.open();
    expect(adapter.recovery.corrupt).toBe(0); // It lies in the wrong folder, too: nobody looks for it there.
    await adapter.close();
    const zero = join(folder.path, "objects", "00");
    mkdirSync(zero, { recursive: true });
    const [source = ""] = folder.files();
    copyFileSync(source, join(zero, `${"0".repeat(64)}-abc`));
    const again = await folder.open();
    expect(again.recovery.corrupt).toBe(1);
    expect(existsSync(join(zero, `${"0".repeat(64)}-abc`))).toBe(false);
  });
});

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
      const onDisk = folder.files().reduce((sum, file) => sum + statSync(file).size, 0);
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

test("FileAdapter shares a folder when two are opened in one process", async () => {
  await withFolder(async (folder) => {
    const one = await folder.open({ limitBytes: 50_000 });
    const two = await folder.open({ limitBytes: 50_000 });
    for (let n = 0; n < 10; n += 1) {
      await (n % 2 === 0 ? one : two).store(key(`${n}`), sourceOf(pattern(10_000, n)));
      expect(await holds(n % 2 === 0 ? two : one, key(`${n}`), pattern(10_000, n))).toBe(true);
    }
    expect(await one.usage()).toEqual(await two.usage());
    expect((await one.usage()).objects).toBe(4);
    await one.close();
    expect(await holds(two, key("9"), pattern(10_000, 9))).toBe(true);
  });
});

/** Starts test/l2/file_child.ts on this runtime over a folder and gives its lines. */
function startChild(path: string) {
  const script = join(import.meta.dirname, "file_child.ts");
  const runtime = process.versions["bun"] === undefined ? ["run", "-A", "--no-check"] : [];
  const child = spawn(process.execPath, [...runtime, script, path], { stdio: ["ignore", "pipe", "inherit"] });
  const exited = new Promise<void>((resolve) => child.once("exit", () => resolve()));
  return { child, exited, lines: createInterface({ input: child.stdout })[Symbol.asyncIterator]() };
}

test("FileAdapter refuses the folder while another process has it, and has every acknowledged object when that was killed", async () => {
  await withFolder(async (folder) => {
    const { child, exited, lines } = startChild(folder.path);
    let stored = -1;
    try {
      while (stored < 20) stored = Number((await lines.next()).value);
      expect(await codeOf(folder.open())).toBe("tier_failed");
      while (stored < 60) stored = Number((await lines.next()).value);
    } finally {
      child.kill("SIGKILL");
      await exited;
    }
    for (let line = await lines.next(); line.done !== true; line = await lines.next()) stored = Number(line.value);
    const adapter = await folder.open();
    for (let n = 0; n <= stored; n += 1) {
      // Object n is replaced by n + 10, and every fifth is deleted in between: file_child.ts.
      const newest = Math.floor((stored - n % 10) / 10) * 10 + n % 10;
      if (n === newest && n % 5 !== 0) expect(await holds(adapter, key(`${n % 10}`), pattern(50_000, n))).toBe(true);
    }
    const { entries } = await adapter.list({ tenant: "", prefix: "", after: "", limit: 100 });
    for (const entry of entries) expect((await readAll(await adapter.load(key(entry.key))))?.length).toBe(50_000);
    const onDisk = folder.files().reduce((sum, file) => sum + statSync(file).size, 0);
    expect((await adapter.usage()).usedBytes).toBe(onDisk);
  });
});
