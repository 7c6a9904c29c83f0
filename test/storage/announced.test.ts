import { expect, test } from "bun:test";
import { codeOf } from "../l2/support.ts";
import { getText, key, pattern, put, putRequest, storageBench } from "../support/storage_bench.ts";

const names = Array.from({ length: 40 }, (_, i) => `kept ${i}`);

test("uploads that announce much and send one byte push no object out of L1", async () => {
  const { storage, l1 } = storageBench({ tiers: 0 });
  for (const name of names) await put(storage, name, { body: pattern(1000) });
  const uploads = [];
  for (let i = 0; i < 16; i += 1) {
    const upload = await storage.reserve(putRequest(i % 2 === 0 ? "same" : `own ${i}`, { sizeBytes: 4000 }));
    await upload.write(pattern(1));
    uploads.push(upload);
  }
  l1.tick();
  expect(names.filter((name) => l1.peek(key(name)) !== undefined).length).toBe(40);
  expect(l1.usage().stagingBytes).toBe(16 * 64);
  for (const upload of uploads) upload.abort();
  expect(l1.usage()).toMatchObject({ stagingBytes: 0, writeLeases: 0 });
});

test("an upload holds at most twice what it has sent, and all of it is given back when it breaks off", async () => {
  const { storage, l1 } = storageBench({ tiers: 0, l1Bytes: 1 << 20, admissionLimitBytes: 1 << 18 });
  const upload = await storage.reserve(putRequest("a", { sizeBytes: 1 << 18 }));
  expect(l1.usage()).toMatchObject({ usedBytes: 0, writeLeases: 0 });
  for (let sent = 10_000; sent <= 200_000; sent += 10_000) {
    await upload.write(pattern(10_000));
    const { stagingBytes } = l1.usage();
    expect(stagingBytes >= sent && stagingBytes <= 2 * sent + 128).toBe(true);
  }
  upload.abort();
  expect(l1.usage()).toMatchObject({ usedBytes: 0, writeLeases: 0 });
});

test("unfinished uploads hold at most half of L1; others go past it, or are refused where there is no tier", async () => {
  for (const tiers of [0, 1]) {
    const bench = storageBench({ tiers });
    const { storage, l1 } = bench;
    const uploads = [];
    for (let i = 0; i < 8; i += 1) {
      const upload = await storage.reserve(putRequest(`slow ${i}`, { sizeBytes: 4000 }));
      await upload.write(pattern(4000));
      uploads.push(upload);
    }
    await put(storage, "small", { body: "hello" });
    const large = put(storage, "large", { body: pattern(3000) });
    if (tiers === 0) expect(await codeOf(large)).toBe("no_room");
    else {
      await large;
      expect([bench.tier(0).objects.size, l1.peek(key("large"))]).toEqual([2, undefined]);
    }
    expect(l1.usage().stagingBytes <= 32_768).toBe(true);
    for (const upload of uploads) upload.abort();
    await put(storage, "large", { body: pattern(3000) });
    expect(l1.peek(key("large"))?.sizeBytes).toBe(3000);
    await storage.drain();
  }
});

test("an empty upload and one of exactly the announced length are admitted", async () => {
  const { storage } = storageBench({ tiers: 0 });
  await put(storage, "empty", { body: "" });
  await put(storage, "full", { body: "f".repeat(4096) });
  expect([await getText(storage, "empty"), (await getText(storage, "full"))?.length]).toEqual(["", 4096]);
});
