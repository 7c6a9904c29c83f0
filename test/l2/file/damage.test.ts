import { expect, test } from "bun:test";
import fc from "fast-check";
import { appendFileSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from "node:fs";
import { Layout } from "../../../src/l2/file/layout.ts";
import { encodeRecord } from "../../../src/l2/file/store/record.ts";
import { codeOf, holds, key, metaOf, pattern, readAll, sourceOf } from "../support.ts";
import { craft, flipBit, loseIndex, withFolder } from "./folder.ts";

const MIB = 1024 * 1024;

test("FileAdapter never hands out a wrong byte when any bit of a file flips", async () => {
  // One folder for all runs: what costs most is making an index, and every run leaves it empty.
  await withFolder((folder) =>
    fc.assert(
      fc.asyncProperty(
        fc.constantFrom(0, 1, 5000, MIB + 3000),
        fc.nat(),
        fc.boolean(),
        async (size, where, rebuild) => {
          await craft(folder, pattern(size), (file) => {
            // Every second flip goes into table, metadata or footer, which are short.
            const { size: fileBytes } = statSync(file);
            flipBit(file, where % 2 === 0 ? where % fileBytes : size + where % (fileBytes - size));
          });
          folder.removed.length = 0;
          if (rebuild) loseIndex(folder);
          const adapter = await folder.open();
          const outcome = await readAll(await adapter.load(key("a", "t"))).catch((error: unknown) => error);
          expect(outcome === undefined || outcome instanceof Error).toBe(true);
          expect(await adapter.lookup(key("a", "t"))).toBe(undefined);
          expect(folder.files()).toEqual([]);
          expect(folder.removed.length).toBe(1);
          expect(folder.removed[0]?.startsWith("corrupt")).toBe(true);
          expect(await adapter.usage()).toMatchObject({ objects: 0, usedBytes: 0 });
          await adapter.close();
        },
      ),
      { numRuns: 25 },
    )
  );
});

for (const recordLimitBytes of [0, 4096]) {
  const where = recordLimitBytes === 0 ? "file" : "record";
  test(`FileAdapter misses and removes the object when any one byte of its ${where} is flipped`, async () => {
    await withFolder(async (folder) => {
      const adapter = await folder.open({ recordLimitBytes });
      const bytes = pattern(40);
      let length = Number.POSITIVE_INFINITY;
      for (let at = 0; at < length; at += 1) {
        await adapter.store(key("a", "t"), sourceOf(bytes));
        const row = await folder.opened.store.find(key("a", "t"), false);
        if (row === undefined) throw new Error("find object: nothing");
        const { segment, offset, bytes: recordBytes } = row.record;
        length = row.file?.bytes ?? recordBytes;
        const file = row.file === undefined ? new Layout(folder.path).segmentPath(segment) : folder.file();
        flipBit(file, at + (row.file === undefined ? offset : 0));
        expect(await adapter.load(key("a", "t"))).toBe(undefined);
        expect(folder.removed.splice(0)).toEqual(["corrupt t 1 40"]);
      }
      expect(length > 200 && length < 400).toBe(true);
    });
  });
}

test("FileAdapter finds every object when the header of their segment is damaged, with and without an index", async () => {
  await withFolder(async (folder) => {
    const names = ["a", "b", "c"];
    for (const rebuild of [false, true]) {
      for (const at of [0, 3, 8, 15]) {
        const adapter = await folder.open({ recordLimitBytes: 4096 });
        for (const [number, name] of names.entries()) await adapter.store(key(name), sourceOf(pattern(50, number + 1)));
        const row = await folder.opened.store.find(key("a"), false);
        await adapter.close();
        flipBit(new Layout(folder.path).segmentPath(row?.record.segment ?? 0), at);
        if (rebuild) loseIndex(folder);
        const again = await folder.open({ recordLimitBytes: 4096 });
        for (const [number, name] of names.entries()) {
          expect(await holds(again, key(name), pattern(50, number + 1))).toBe(true);
        }
        await again.close();
      }
    }
  });
});

test("FileAdapter loses one object only when the head of its record is damaged and the index is lost", async () => {
  await withFolder(async (folder) => {
    const adapter = await folder.open({ recordLimitBytes: 4096 });
    for (const [number, name] of ["a", "b", "c"].entries()) {
      await adapter.store(key(name), sourceOf(pattern(50, number)));
    }
    const row = await folder.opened.store.find(key("b"), false);
    await adapter.close();
    flipBit(new Layout(folder.path).segmentPath(row?.record.segment ?? 0), (row?.record.offset ?? 0) + 30);
    loseIndex(folder);
    const again = await folder.open({ recordLimitBytes: 4096 });
    expect(await holds(again, key("a"), pattern(50, 0))).toBe(true);
    expect(await again.load(key("b"))).toBe(undefined);
    expect(await holds(again, key("c"), pattern(50, 2))).toBe(true);
  });
});

test("FileAdapter takes no part of an object for a record when the log is damaged and the index is lost", async () => {
  // In the record's own header and in its head: whether its length is known or not.
  for (const at of [9, 30]) {
    await withFolder(async (folder) => {
      const adapter = await folder.open({ recordLimitBytes: 4096 });
      const evil = pattern(9);
      const head = encodeRecord({ kind: "object", key: key("victim", "other"), meta: metaOf(evil) });
      await adapter.store(key("a"), sourceOf(Buffer.concat([head, evil])));
      const row = await folder.opened.store.find(key("a"), false);
      await adapter.close();
      flipBit(new Layout(folder.path).segmentPath(row?.record.segment ?? 0), (row?.record.offset ?? 0) + at);
      loseIndex(folder);
      const again = await folder.open({ recordLimitBytes: 4096 });
      expect(await again.load(key("victim", "other"))).toBe(undefined);
      expect(await again.usage()).toMatchObject({ objects: 0 });
    });
  }
});

test("FileAdapter misses and removes the file when it is cut at any boundary or grown", async () => {
  const size = MIB + 10;
  await withFolder(async (folder) => {
    for (const rebuild of [false, true]) {
      for (const cut of [0, 1, MIB, size - 1, size, size + 4, size + 8, size + 100, -28, -27, -1, "grow"] as const) {
        await craft(folder, pattern(size), (file) => {
          if (cut === "grow") appendFileSync(file, "x");
          else truncateSync(file, cut < 0 ? statSync(file).size + cut : cut);
        });
        if (rebuild) loseIndex(folder);
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
