import { expect, test } from "bun:test";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { copyFileSync, existsSync, mkdirSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { codeOf, holds, key, pattern, readAll, sourceOf } from "../support.ts";
import { craft, loseIndex, withFolder } from "./folder.ts";

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
      if (how === "rebuild") loseIndex(folder);
      if (how === "no index") rmSync(index);
      if (how === "bad index") writeFileSync(index, pattern(50_000));
      if (how === "other schema") {
        const db = new DatabaseSync(index);
        db.exec("PRAGMA user_version = 999");
        db.close();
      }
      const again = await folder.open();
      expect(folder.opened.recovery).toEqual({
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
    expect(folder.opened.recovery.leftovers).toBe(1);
    expect((await adapter.usage()).leftoversRemoved).toBe(1);
    expect(folder.files().length).toBe(2);
    expect(await holds(adapter, key("a", "t"), pattern(10))).toBe(true);
  });
});

test("FileAdapter keeps the newer object when the index was set back", async () => {
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
    expect(folder.opened.recovery).toMatchObject({ leftovers: 1, adopted: 1, missing: 1, corrupt: 0 });
    expect(await holds(third, key("a"), pattern(100, 2))).toBe(true);
    expect(folder.files().length).toBe(1);
  });
});

for (const rebuild of [false, true]) {
  for (const next of ["replaced", "deleted"] as const) {
    test(`FileAdapter does not bring an object back whose file is there again after it was ${next}${rebuild ? " and the index is lost" : ""}`, async () => {
      await withFolder(async (folder) => {
        const first = await folder.open();
        await first.store(key("a"), sourceOf(pattern(100, 1)));
        const old = folder.file();
        copyFileSync(old, join(folder.path, "old"));
        if (next === "replaced") await first.store(key("a"), sourceOf(pattern(100, 2)));
        else await first.delete(key("a"));
        await first.close();
        copyFileSync(join(folder.path, "old"), old);
        if (rebuild) loseIndex(folder);
        const second = await folder.open();
        expect(folder.opened.recovery.leftovers).toBe(1);
        expect(await holds(second, key("a"), pattern(100, 2))).toBe(next === "replaced");
        expect(folder.files().length).toBe(next === "replaced" ? 1 : 0);
      });
    });
  }
}

test("FileAdapter takes a segment for another one when the random number in its header is another", async () => {
  await withFolder(async (folder) => {
    const records = { recordLimitBytes: 1000 };
    const first = await folder.open(records);
    for (let n = 0; n < 5; n += 1) await first.store(key(`${n}`), sourceOf(pattern(500, n)));
    await first.close();
    for (const suffix of ["", "-wal"]) {
      const from = join(folder.path, `index.sqlite${suffix}`);
      if (existsSync(from)) copyFileSync(from, `${from}.old`);
    }
    const second = await folder.open(records);
    await second.clear();
    await second.close();
    expect(readdirSync(join(folder.path, "segments"))).toEqual([]);
    const third = await folder.open(records);
    await third.store(key("new"), sourceOf(pattern(700, 7)));
    await third.close();
    // The index of before the clear knows a longer segment of this number.
    expect(readdirSync(join(folder.path, "segments"))).toEqual(["000000000001.segment"]);
    copyFileSync(join(folder.path, "index.sqlite.old"), join(folder.path, "index.sqlite"));
    const fourth = await folder.open(records);
    expect(folder.opened.recovery).toMatchObject({ adopted: 1, missing: 5 });
    expect(await holds(fourth, key("new"), pattern(700, 7))).toBe(true);
    for (let n = 0; n < 5; n += 1) expect(await fourth.lookup(key(`${n}`))).toBe(undefined);
  });
});

test("FileAdapter drops the entry when its file is gone at the start", async () => {
  await withFolder(async (folder) => {
    await craft(folder, pattern(10), (file) => rmSync(file));
    const adapter = await folder.open();
    expect(folder.opened.recovery.missing).toBe(1);
    expect(await adapter.lookup(key("a", "t"))).toBe(undefined);
    expect((await adapter.usage()).objects).toBe(0);
  });
});

test("FileAdapter refuses a file under another object's name when it adopts", async () => {
  await withFolder(async (folder) => {
    await craft(folder, pattern(10), (file) => copyFileSync(file, join(dirname(file), `${"0".repeat(64)}-abc`)));
    const adapter = await folder.open();
    expect(folder.opened.recovery.corrupt).toBe(0); // It lies in the wrong folder, too: nobody looks for it there.
    await adapter.close();
    const zero = join(folder.path, "objects", "00");
    mkdirSync(zero, { recursive: true });
    const [source = ""] = folder.files();
    copyFileSync(source, join(zero, `${"0".repeat(64)}-abc`));
    await folder.open();
    expect(folder.opened.recovery.corrupt).toBe(1);
    expect(existsSync(join(zero, `${"0".repeat(64)}-abc`))).toBe(false);
  });
});

/** A running child.ts. */
interface Child {
  /** The number of the last object that was acknowledged; -1 before the first. */
  stored(): number;
  /** Resolves once so many objects are acknowledged. */
  until(stored: number): Promise<void>;
  /** Kills it; resolves when all that it has printed is there. */
  kill(): Promise<void>;
}

/** Starts child.ts on this runtime over a folder. */
function startChild(path: string, recordLimitBytes: number): Child {
  const script = join(import.meta.dirname, "child.ts");
  const runtime = process.versions["bun"] === undefined ? ["run", "-A", "--no-check"] : [];
  const child = spawn(process.execPath, [...runtime, script, path, `${recordLimitBytes}`], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  let text = "";
  child.stdout.setEncoding("utf8").on("data", (more: string) => void (text += more));
  const closed = once(child, "close");
  // What follows the last line end is not complete.
  const stored = () => Number(text.split("\n").at(-2) ?? -1);
  return {
    stored,
    async until(count) {
      while (stored() < count) await once(child.stdout, "data");
    },
    async kill() {
      child.kill("SIGKILL");
      await closed;
    },
  };
}

for (const [where, recordLimitBytes] of [["files", 0], ["segments", 100_000]] as const) {
  test(`FileAdapter refuses the folder while another process has it, and has every acknowledged object when that was killed: ${where}`, async () => {
    await withFolder(async (folder) => {
      const child = startChild(folder.path, recordLimitBytes);
      try {
        await child.until(20);
        expect(await codeOf(folder.open())).toBe("tier_failed");
        await child.until(60);
      } finally {
        await child.kill();
      }
      const stored = child.stored();
      const adapter = await folder.open();
      for (let n = Math.max(0, stored - 9); n <= stored; n += 1) {
        // Object n is replaced by n + 10, and every fifth is deleted in between: child.ts. The one after the last may
        // be there and not acknowledged.
        if (n % 5 === 0) continue;
        const allowed = n + 10 === stored + 1 ? [n, n + 10] : [n];
        const held = await Promise.all(allowed.map((each) => holds(adapter, key(`${n % 10}`), pattern(50_000, each))));
        expect(held).toContain(true);
      }
      const { entries } = await adapter.list({ tenant: "", prefix: "", after: "", limit: 100 });
      for (const entry of entries) expect((await readAll(await adapter.load(key(entry.key))))?.length).toBe(50_000);
      const segments = readdirSync(join(folder.path, "segments")).map((name) => join(folder.path, "segments", name));
      const onDisk = [...folder.files(), ...segments].reduce((sum, file) => sum + statSync(file).size, 0);
      expect((await adapter.usage()).usedBytes).toBe(onDisk);
    });
  });
}
