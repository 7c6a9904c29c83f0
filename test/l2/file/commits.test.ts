import { expect, test } from "bun:test";
import { crc32 } from "node:zlib";
import { VitrineError } from "../../../src/core/errors.ts";
import { type BlockingDisk, systemDisk } from "../../../src/l2/file/disk.ts";
import { codeOf, holds, key, metaOf, pattern, readAll, sourceOf } from "../support.ts";
import { type Folder, loseIndex, withFolder } from "./folder.ts";

type Step = "write" | "sync";

/** The owner's disk, whose steps on segments are counted, and fail with the code that `fails` gives. */
function countingDisk(fails: (step: Step) => string | undefined = () => undefined) {
  const calls: Step[] = [];
  const step = (name: Step): void => {
    calls.push(name);
    const code = fails(name);
    if (code !== undefined) throw Object.assign(new Error(`${code}: injected`), { code });
  };
  const blockingDisk: BlockingDisk = {
    ...systemDisk,
    write(file, buffers, position) {
      step("write");
      systemDisk.write(file, buffers, position);
    },
    sync(file) {
      step("sync");
      systemDisk.sync(file);
    },
  };
  return { calls, blockingDisk };
}

const records = { recordLimitBytes: 100_000, sync: true };

test("FileStore makes many changes with one write and one sync", async () => {
  await withFolder(async (folder) => {
    const { calls, blockingDisk } = countingDisk();
    const adapter = await folder.open({ ...records, blockingDisk });
    await adapter.store(key("first"), sourceOf(pattern(10)));
    calls.length = 0;
    await Promise.all(
      Array.from({ length: 100 }, (_, n) => adapter.store(key(`${n}`), sourceOf(pattern(1000, n)))),
    );
    expect(calls).toEqual(["write", "sync"]);
    for (let n = 0; n < 100; n += 1) expect(await holds(adapter, key(`${n}`), pattern(1000, n))).toBe(true);
  });
});

test("FileStore syncs nothing for changes that need not be durable", async () => {
  await withFolder(async (folder) => {
    const { calls, blockingDisk } = countingDisk();
    const adapter = await folder.open({ ...records, blockingDisk });
    const sources = Array.from({ length: 10 }, (_, n) => ({ ...sourceOf(pattern(1000, n)), durable: false }));
    await Promise.all(sources.map((source, n) => adapter.store(key(`${n}`), source)));
    expect(calls).toEqual(["write", "write"]); // The header of the segment, and the records.
  });
});

test("FileStore lets one change of a batch fail alone", async () => {
  await withFolder(async (folder) => {
    await folder.open(records);
    const { store } = folder.opened;
    const meta = metaOf(pattern(10));
    const file = { kind: "file", meta, tempPath: `${folder.path}/nowhere`, bytes: 10, heldBytes: 0 } as const;
    const outcomes = await Promise.allSettled([
      store.change({ kind: "record", key: key("a"), meta, payload: pattern(10), durable: true }),
      store.change({ ...file, key: key("b"), durable: true }),
      store.change({ kind: "record", key: key("c"), meta, payload: pattern(10), durable: true }),
    ]);
    expect(outcomes.map(({ status }) => status)).toEqual(["fulfilled", "rejected", "fulfilled"]);
    expect((await store.usage()).objects).toBe(2);
  });
});

test("FileStore evicts once and goes on when the disk is full while a batch is appended", async () => {
  await withFolder(async (folder) => {
    let full = false;
    const { blockingDisk } = countingDisk((step) => {
      if (!full || step !== "write") return undefined;
      full = false;
      return "ENOSPC";
    });
    const adapter = await folder.open({ ...records, blockingDisk });
    await adapter.store(key("old"), sourceOf(pattern(1000)));
    full = true;
    await adapter.store(key("new"), sourceOf(pattern(1000, 2)));
    expect(await holds(adapter, key("new"), pattern(1000, 2))).toBe(true);
    expect(folder.removed).toEqual(["capacity  1 1000"]);
  });
});

/**
 * Stores an old object, lets storing a new one fail, and looks that the old one stays, now and after every kind of
 * restart.
 */
async function keepsOld(folder: Folder, store: (name: string) => Promise<unknown>): Promise<void> {
  expect(await codeOf(store("a"))).toBe("tier_failed");
  for (const restart of ["no", "clean", "index lost"] as const) {
    let adapter = folder.opened.adapter;
    if (restart !== "no") {
      await adapter.close();
      if (restart === "index lost") loseIndex(folder);
      adapter = await folder.open(records);
    }
    const text = `${restart}: ${crc32(await readAll(await adapter.load(key("a"))) ?? pattern(0))}`;
    expect(text).toBe(`${restart}: ${crc32(pattern(1000, 1))}`);
    expect(await adapter.lookup(key("b"))).toBe(undefined);
  }
}

for (const broken of ["write", "sync"] as const) {
  test(`FileStore fails the batch and leaves what was there, also after a restart, when ${broken} fails`, async () => {
    await withFolder(async (folder) => {
      let on = false;
      const { blockingDisk } = countingDisk((step) => on && step === broken ? "EIO" : undefined);
      const adapter = await folder.open({ ...records, blockingDisk });
      await adapter.store(key("a"), sourceOf(pattern(1000, 1)));
      on = true;
      await keepsOld(folder, async (name) => {
        const stores = [name, "b"].map((each) => adapter.store(key(each), sourceOf(pattern(1000, 2))));
        const outcomes = await Promise.allSettled(stores);
        on = false;
        expect(outcomes.map(({ status }) => status)).toEqual(["rejected", "rejected"]);
        throw new VitrineError("tier_failed", "as it should");
      });
    });
  });
}

test("FileStore sees a change of a key that was asked for before, acknowledged or not", async () => {
  await withFolder(async (folder) => {
    const adapter = await folder.open(records);
    const { store } = folder.opened;
    const payload = pattern(100);
    const putting = store.change({ kind: "record", key: key("a"), meta: metaOf(payload), payload, durable: false });
    expect((await store.find(key("a"), false))?.meta.sizeBytes).toBe(100);
    const deleting = store.change({ kind: "delete", key: key("a"), durable: true });
    expect(await store.find(key("a"), false)).toBe(undefined);
    expect(await Promise.all([putting, deleting])).toEqual([false, true]);
    await adapter.close();
  });
});

test("FileStore keeps usage within the limit when one batch holds more than there is room for", async () => {
  await withFolder(async (folder) => {
    const limitBytes = 1_000_000;
    const adapter = await folder.open({ ...records, limitBytes });
    for (let round = 0; round < 5; round += 1) {
      const names = Array.from({ length: 60 }, (_, n) => `${round}.${n}`);
      await Promise.all(names.map((name) => adapter.store(key(name), sourceOf(pattern(10_000)))));
      expect((await adapter.usage()).usedBytes).toBeLessThanOrEqual(limitBytes);
    }
  });
});
