import { expect, test } from "bun:test";
import { statSync } from "node:fs";
import { adapterConformance } from "./conformance.ts";
import { Gate } from "../support/gate.ts";
import { withFolder } from "./file/folder.ts";
import { fixtures } from "./fixtures.ts";
import { codeOf, holds, key, pattern, sourceOf } from "./support.ts";

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

test("FileAdapter evicts only for bytes that came when a store announces many and stands still", async () => {
  await withFolder(async (folder) => {
    const adapter = await folder.open({ limitBytes: 4_000_000 });
    for (let n = 0; n < 30; n += 1) await adapter.store(key(`${n}`), sourceOf(pattern(100_000, n)));
    const came = new Gate();
    const source = sourceOf(new Uint8Array(0));
    async function* chunks(): AsyncGenerator<Uint8Array, void, void> {
      yield pattern(300_000);
      await came.wait();
      throw new Error("the client has gone");
    }
    const storing = adapter.store(key("large"), { ...source, chunks: chunks(), sizeBytes: 3_900_000 });
    await came.reached;
    expect((await adapter.usage()).objects).toBe(30);
    came.open();
    await expect(storing).rejects.toThrow();
    const announced = { ...sourceOf(new Uint8Array(0)), sizeBytes: 4_000_001 };
    expect(await codeOf(adapter.store(key("too large"), announced))).toBe("no_room");
    expect((await adapter.usage()).objects).toBe(30);
  });
});
