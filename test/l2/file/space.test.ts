import { expect, test } from "bun:test";
import { openOwnFolder, type OwnFolder } from "../../../src/l2/file.ts";
import type { Publish } from "../../../src/core/events.ts";
import type { EventMap } from "../../../src/events/catalogue.ts";
import { holds, inFolder, key, newBench, pattern, sourceOf } from "../support.ts";

const LIMIT_BYTES = 2_000_000;

/** A folder with small records under a limit, what it publishes about segments, and which objects left it. */
async function withRecords(
  limitBytes: number,
  body: (
    opened: OwnFolder & {
      readonly reclaimed: EventMap["l2.reclaimed"][];
      readonly left: readonly string[];
      readonly reopen: () => Promise<OwnFolder>;
      readonly advance: (ms: number) => void;
    },
  ) => Promise<void>,
): Promise<void> {
  await inFolder(async (path) => {
    const bench = newBench();
    const reclaimed: EventMap["l2.reclaimed"][] = [];
    const publish: Publish<EventMap> = (name, fields) => {
      bench.publish(name, fields);
      if (name === "l2.reclaimed") reclaimed.push(Object.assign({ tier: "", bytes: 0, copiedBytes: 0 }, fields));
    };
    const settings = { ...bench, publish, name: "fs", path, limitBytes, sync: false, recordLimitBytes: 100_000 };
    let folder = openOwnFolder(settings);
    const reopen = async (): Promise<OwnFolder> => {
      await folder.adapter.close();
      folder = openOwnFolder(settings);
      return folder;
    };
    try {
      await body({ ...folder, reclaimed, left: bench.left, reopen, advance: (ms) => bench.clock.advance(ms) });
    } finally {
      await folder.adapter.close();
    }
  });
}

test("FileStore keeps small records within the limit, and lets those go first that were not used for longest", async () => {
  await withRecords(LIMIT_BYTES, async ({ adapter, left }) => {
    await adapter.store(key("used"), sourceOf(pattern(10_000, 999)));
    for (let n = 0; n < 600; n += 1) {
      await adapter.store(key(`${n}`), sourceOf(pattern(10_000, n)));
      if (n % 20 === 0) expect(await holds(adapter, key("used"), pattern(10_000, 999))).toBe(true);
      expect((await adapter.usage()).usedBytes).toBeLessThanOrEqual(LIMIT_BYTES);
    }
    expect(await holds(adapter, key("used"), pattern(10_000, 999))).toBe(true);
    expect(left).toEqual(Array.from({ length: left.length }, (_, n) => `capacity  ${n}`));
    for (let n = left.length; n < 600; n += 1) expect(await holds(adapter, key(`${n}`), pattern(10_000, n))).toBe(true);
    // At most a quarter of the room is dead or fresh.
    expect((await adapter.usage()).objects * 10_000).toBeGreaterThan(LIMIT_BYTES * 0.6);
  });
});

test("FileStore moves what lives out of half-empty segments, byte for byte, also for the next start", async () => {
  await withRecords(0, async ({ adapter, store, reclaimed, reopen }) => {
    for (let n = 0; n < 100; n += 1) await adapter.store(key(`${n}`), sourceOf(pattern(1000 + n, n)));
    const full = (await adapter.usage()).usedBytes;
    for (let n = 0; n < 100; n += 1) if (n % 10 !== 0) await adapter.delete(key(`${n}`));
    const again = await reopen();
    // What is written after a start goes into a new segment; the old one is sealed.
    again.store.tidy();
    await again.adapter.store(key("new"), sourceOf(pattern(10)));
    again.store.tidy();
    const [first] = reclaimed;
    const live = Array.from({ length: 10 }, (_, n) => 1000 + n * 10).reduce((sum, bytes) => sum + bytes, 0);
    expect(first?.bytes).toBeGreaterThan(full);
    expect(first?.copiedBytes).toBeGreaterThan(live);
    expect(first?.copiedBytes).toBeLessThan(live + 10 * 500);
    for (const look of ["moved", "restarted"]) {
      const { adapter: now } = look === "moved" ? again : await reopen();
      for (let n = 0; n < 100; n += 1) {
        expect(`${n} ${await holds(now, key(`${n}`), pattern(1000 + n, n))}`).toBe(`${n} ${n % 10 === 0}`);
      }
      expect((await now.usage()).usedBytes).toBeLessThan(full / 2);
    }
    expect(store).not.toBe(again.store);
  });
});

test("FileStore.clear spares what is stored meanwhile, and nothing else, even if it is used", async () => {
  await withRecords(0, async ({ adapter }) => {
    const names = Array.from({ length: 1500 }, (_, n) => `${n}`);
    await Promise.all(names.map((name) => adapter.store(key(name), sourceOf(pattern(10)))));
    const state = { isCleared: false };
    const clearing = adapter.clear().then((count) => {
      state.isCleared = true;
      return count;
    });
    let stored = 0;
    while (!state.isCleared) {
      const uses = names.slice(-20).map(async (name) =>
        await (await adapter.load(key(name)))?.chunks[Symbol.asyncIterator]().return?.()
      );
      await Promise.all(uses);
      await adapter.store(key(`new ${stored}`), sourceOf(pattern(20, stored)));
      stored += 1;
    }
    const count = await clearing;
    const { objects } = await adapter.usage();
    // The first of the new ones may have come before the clear began.
    expect([count + objects, objects >= stored - 1]).toEqual([1500 + stored, true]);
    expect(await adapter.lookup(key("1499"))).toBe(undefined);
    expect(await holds(adapter, key(`new ${stored - 1}`), pattern(20, stored - 1))).toBe(true);
  });
});

test("FileStore.tidy removes records whose time is up, a bounded number at once", async () => {
  await withRecords(0, async ({ adapter, store, left, advance }) => {
    const expiresMs = 1_700_000_000_000 + 1000;
    const names = Array.from({ length: 300 }, (_, n) => `${n}`);
    await Promise.all(names.map((name) => adapter.store(key(name), sourceOf(pattern(10), { meta: { expiresMs } }))));
    await adapter.store(key("kept"), sourceOf(pattern(10)));
    store.tidy();
    expect((await adapter.usage()).objects).toBe(301);
    advance(1000);
    for (let turn = 0; turn < 10; turn += 1) store.tidy();
    expect((await adapter.usage()).objects).toBe(1);
    expect(left.filter((line) => line.startsWith("expired")).length).toBe(300);
  });
});
