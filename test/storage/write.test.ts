import { expect, test } from "bun:test";
import { createHash } from "node:crypto";
import { crc32 } from "node:zlib";
import { type ErrorCode, VitrineError } from "../../src/core/errors.ts";
import { etagOf, keyId, packHeaders, type Precondition } from "../../src/core/object.ts";
import type { LateFacts } from "../../src/storage/storage.ts";
import { Gate } from "../support/gate.ts";
import { getBytes, getText, key, pattern, put, putRequest, storageBench, tierText } from "../support/storage_bench.ts";

const isAbsent: Precondition = { noneMatch: "*" };

/** The code with which it fails. */
async function codeOf(work: () => unknown): Promise<ErrorCode | undefined> {
  try {
    await work();
  } catch (error) {
    if (error instanceof VitrineError) return error.code;
    throw error;
  }
  return undefined;
}

test("Upload.finish acknowledges from L1 and stores behind when the policy is back", async () => {
  const bench = storageBench();
  const gate = new Gate();
  bench.tier(0).gate = (step) => step === "store" ? gate.wait() : undefined;
  const { meta, replaced } = await put(bench.storage, "a", { body: "hello", ttlSeconds: 10 });
  expect(replaced).toBe(false);
  expect(meta.crc32).toBe(crc32("hello"));
  expect(meta.expiresMs).toBe(meta.createdMs + 10_000);
  expect(tierText(bench.tier(0), "a")).toBe(undefined);
  expect((await bench.storage.status()).storeQueue).toEqual({ entries: 1, bytes: 5, inFlight: 1, oldestAgeSeconds: 0 });
  gate.open();
  await bench.storage.drain();
  expect(tierText(bench.tier(0), "a")).toBe("hello");
  expect(bench.l1.usage().readLeases).toBe(0);
});

test("Upload.finish tells whether the key had an object when it was in L1, in a tier or nowhere", async () => {
  const bench = storageBench();
  expect((await put(bench.storage, "a", { body: "1" })).replaced).toBe(false);
  expect((await put(bench.storage, "a", { body: "2" })).replaced).toBe(true);
  await bench.storage.clear({ tenant: undefined, tier: "l1" });
  expect((await put(bench.storage, "a", { body: "3" })).replaced).toBe(true);
  await bench.storage.delete(key("a"));
  expect((await put(bench.storage, "a", { body: "4", durability: "l2" })).replaced).toBe(false);
});

test("Upload.finish acknowledges after all tiers when the durability is l2", async () => {
  const bench = storageBench({ tiers: 2 });
  await put(bench.storage, "a", { body: "hello", durability: "l2" });
  expect([tierText(bench.tier(0), "a"), tierText(bench.tier(1), "a")]).toEqual(["hello", "hello"]);
  expect(bench.l1.peek(key("a"))?.sizeBytes).toBe(5);
});

test("Upload.finish leaves what was there when a tier fails and the durability is l2", async () => {
  const bench = storageBench({ tiers: 2 });
  await put(bench.storage, "a", { body: "old", durability: "l2" });
  bench.tier(1).gate = (step) => {
    if (step === "store") throw new Error("disk gone");
  };
  expect(await codeOf(() => put(bench.storage, "a", { body: "new", durability: "l2" }))).toBe("tier_failed");
  expect(await getText(bench.storage, "a")).toBe("old");
  await bench.storage.clear({ tenant: undefined, tier: "l1" });
  expect(await getText(bench.storage, "a")).toBe("old");
});

test("Upload refuses and forgets when length or digest are wrong", async () => {
  const { storage, l1, named } = storageBench();
  const sha256 = createHash("sha256").update("hello").digest("base64");
  expect((await put(storage, "a", { body: "hello", sha256 })).meta.sha256).toBe(sha256);
  expect(await codeOf(() => put(storage, "a", { body: "hellO", sha256 }))).toBe("digest_mismatch");
  expect(await codeOf(() => put(storage, "a", { body: "hello", sizeBytes: 6 }))).toBe("length_mismatch");
  expect(await codeOf(() => put(storage, "a", { body: "hello", sizeBytes: 4 }))).toBe("length_mismatch");
  expect(await codeOf(() => put(storage, "a", { body: pattern(5000), sha256 }))).toBe("digest_mismatch");
  expect(await getText(storage, "a")).toBe("hello");
  await storage.drain();
  expect(l1.usage().stagingBytes).toBe(0);
  expect(named("sm.write.reserved").length).toBe(5);
  expect(named("sm.write.finished").map(({ outcome, bytes }) => [outcome, bytes])).toEqual([
    ["stored", 5],
    ["aborted", 0],
    ["aborted", 0],
    ["aborted", 0],
    ["aborted", 0],
  ]);
});

test("StorageManager.reserve refuses before the body when size or precondition forbid it", async () => {
  const { storage, named } = storageBench({ maxObjectBytes: 10_000 });
  await put(storage, "a", { body: "hello" });
  const reserve = (fields: Parameters<typeof putRequest>[1]) => codeOf(() => storage.reserve(putRequest("a", fields)));
  expect(await reserve({ sizeBytes: 10_001 })).toBe("too_large");
  expect(await reserve({ sizeBytes: 1, precondition: isAbsent })).toBe("precondition_failed");
  await storage.clear({ tenant: undefined, tier: "l1" });
  expect(await reserve({ sizeBytes: 1, precondition: isAbsent })).toBe("precondition_failed");
  expect(named("sm.write.reserved").map(({ succeeded, failed }) => [succeeded, failed])).toEqual([
    [1, 0],
    [0, 1],
    [0, 1],
    [0, 1],
  ]);
});

for (const precondition of [isAbsent, { match: ['"other"'], orAbsent: true }]) {
  test(`an upload fails when another server has meanwhile stored what ${Object.keys(precondition)[0]} excludes`, async () => {
    const { storage, ...bench } = storageBench();
    const tier = bench.tier(0);
    const bytes = pattern(3, 7);
    const times = { createdMs: 0, expiresMs: 0, version: Number.MAX_SAFE_INTEGER };
    const meta = { ...times, sizeBytes: 3, crc32: crc32(bytes), contentType: "", sha256: "" };
    const theirs = { key: key("a"), meta, bytes };
    tier.gate = (step) => {
      if (step === "meta") tier.objects.set(keyId(key("a")), theirs);
    };
    const putting = put(storage, "a", { body: "ours", durability: "l2", precondition });
    expect(await codeOf(() => putting)).toBe("precondition_failed");
    // Theirs stays and is read: nothing is in doubt.
    expect(tier.objects.get(keyId(key("a")))).toBe(theirs);
    expect(await getBytes(storage, "a")).toEqual(bytes);
  });
}

test("Upload.finish checks the precondition again when another write came first", async () => {
  const { storage } = storageBench();
  const slow = await storage.reserve(putRequest("a", { precondition: isAbsent }));
  await slow.write(pattern(3));
  await put(storage, "a", { body: "first" });
  expect(await codeOf(() => slow.finish())).toBe("precondition_failed");
  expect(await getText(storage, "a")).toBe("first");
});

test("Upload.finish yields to a write that was acknowledged while its tiers stored when its precondition then fails", async () => {
  const bench = storageBench();
  const { meta } = await put(bench.storage, "a", { body: "old", durability: "l2" });
  const gate = new Gate();
  bench.tier(0).gate = (step) => step === "commit" ? gate.wait() : undefined;
  const precondition = { match: [etagOf(meta)] };
  const late = codeOf(() => put(bench.storage, "a", { body: "late", durability: "l2", precondition }));
  await gate.reached;
  await put(bench.storage, "a", { body: "first" });
  gate.open();
  expect(await late).toBe("precondition_failed");
  await bench.storage.drain();
  expect([await getText(bench.storage, "a"), tierText(bench.tier(0), "a")]).toEqual(["first", "first"]);
});

test("Upload moves to the tiers when a body of unknown length outgrows L1", async () => {
  const bench = storageBench();
  await put(bench.storage, "a", { body: "old" });
  const { meta } = await put(bench.storage, "a", { body: pattern(20_000), sizeBytes: undefined });
  expect(meta.sizeBytes).toBe(20_000);
  expect(bench.l1.peek(key("a"))).toBe(undefined);
  expect(await getBytes(bench.storage, "a")).toEqual(pattern(20_000));
  expect(bench.l1.usage().stagingBytes).toBe(0);
  expect(await codeOf(() => put(bench.storage, "b", { body: pattern(2_000_000), sizeBytes: undefined }))).toBe(
    "too_large",
  );
});

test("Upload stays in L1 when a body of unknown length fits", async () => {
  const bench = storageBench({ admissionLimitBytes: 16_384 });
  for (const size of [0, 1, 2000, 16_384]) {
    await put(bench.storage, "a", { body: pattern(size), sizeBytes: undefined });
    expect(bench.l1.peek(key("a"))?.sizeBytes).toBe(size);
    expect(await getBytes(bench.storage, "a")).toEqual(pattern(size));
  }
});

test("StorageManager.reserve refuses when L1 cannot take it and there is no tier", async () => {
  const { storage, l1 } = storageBench({ tiers: 0, l1Bytes: 8192 });
  expect(await codeOf(() => storage.reserve(putRequest("a", { sizeBytes: 4097 })))).toBe("too_large");
  l1.reserveWrite(["x", "y"].map((name) => ({ key: key(name), sizeBytes: 2500, contentType: "", sha256: "" })), "z");
  expect(await codeOf(() => storage.reserve(putRequest("a", { sizeBytes: 4000 })))).toBe("no_room");
});

test("Upload.finish waits for a place when the store queue is full", async () => {
  const bench = storageBench({ storeQueue: { maxEntries: 1, maxBytes: 1000 }, storeConcurrency: 1 });
  const gate = new Gate();
  bench.tier(0).gate = (step) => step === "store" ? gate.wait() : undefined;
  await put(bench.storage, "a", { body: "first" });
  const second = put(bench.storage, "b", { body: "second" });
  await gate.reached;
  expect(bench.l1.peek(key("b"))).toBe(undefined);
  gate.open();
  await second;
  expect(bench.l1.peek(key("b"))?.sizeBytes).toBe(6);
  await bench.storage.drain();
  expect(tierText(bench.tier(0), "b")).toBe("second");
});

test("Upload.finish lets tenants have their turn one after the other when the store queue is full", async () => {
  const bench = storageBench({ storeQueue: { maxEntries: 1, maxBytes: 1000 }, storeConcurrency: 1 });
  let gate = new Gate();
  bench.tier(0).gate = (step) => step === "store" ? gate.wait() : undefined;
  const done: string[] = [];
  const write = async (tenant: string, name: string): Promise<void> => {
    await put(bench.storage, "", { key: { tenant, key: name }, body: name });
    done.push(name);
  };
  const floods = ["f1", "f2", "f3", "f4"].map((name) => write("flood", name));
  await gate.reached;
  const others = [write("a", "a1"), write("b", "b1")];
  // The first is being stored; one comes in with each that is.
  for (let stored = 0; stored < 6; stored += 1) {
    await gate.reached;
    const open = gate;
    gate = new Gate();
    open.open();
  }
  await Promise.all([...floods, ...others]);
  gate.open();
  expect(done).toEqual(["f1", "f2", "a1", "b1", "f3", "f4"]);
});

test("the store queue keeps a dirty object in L1 when everything else is evicted", async () => {
  const bench = storageBench();
  const gate = new Gate();
  bench.tier(0).gate = (step) => step === "store" ? gate.wait() : undefined;
  await put(bench.storage, "a", { body: "hello" });
  bench.time.advance(60_000);
  bench.l1.tick();
  bench.evictAll();
  expect(await getText(bench.storage, "a")).toBe("hello");
  gate.open();
  await bench.storage.drain();
  expect(tierText(bench.tier(0), "a")).toBe("hello");
});

test("the store controller stores only the newest when a key is written faster than the tier stores", async () => {
  const bench = storageBench({ storeConcurrency: 1 });
  const gate = new Gate();
  bench.tier(0).gate = (step) => step === "store" ? gate.wait() : undefined;
  for (const body of ["1", "2", "3", "4"]) await put(bench.storage, "a", { body });
  gate.open();
  await bench.storage.drain();
  expect(tierText(bench.tier(0), "a")).toBe("4");
  expect(bench.named("l2.store.completed").length).toBe(2);
});

test("the store controller tries three times, then removes the older copy, when a tier fails", async () => {
  const bench = storageBench();
  await put(bench.storage, "a", { body: "old", durability: "l2" });
  let failing = true;
  bench.tier(0).gate = (step) => {
    if (failing && step === "store") throw new Error("disk gone");
  };
  await put(bench.storage, "a", { body: "new" });
  for (const delayMs of [100, 500]) {
    while (bench.time.delays.length === 0) await Promise.resolve();
    const delay = bench.time.delays.shift();
    expect(delay?.delayMs).toBe(delayMs);
    delay?.wake();
  }
  while ((await bench.storage.status()).storeQueue.entries > 0) await Promise.resolve();
  expect(await getText(bench.storage, "a")).toBe("new");
  expect(bench.named("l2.store.completed").map(({ outcome }) => outcome)).toEqual(["ok", "failed", "failed", "failed"]);
  failing = false;
  bench.evictAll();
  expect(await getText(bench.storage, "a")).toBe(undefined);
});

test("a tier's outdated copy is never read, and removed later, when it could not be deleted", async () => {
  const bench = storageBench();
  await put(bench.storage, "a", { body: "old", durability: "l2" });
  bench.tier(0).gate = (step) => {
    if (step === "store" || step === "delete") throw new Error("disk gone");
  };
  bench.time.after = () => Promise.resolve();
  await put(bench.storage, "a", { body: "new" });
  while ((await bench.storage.status()).storeQueue.entries > 0) await Promise.resolve();
  bench.evictAll();
  expect(tierText(bench.tier(0), "a")).toBe("old");
  expect(await getText(bench.storage, "a")).toBe(undefined);
  bench.tier(0).gate = () => {};
  await put(bench.storage, "b", { body: "b" });
  await bench.storage.drain();
  expect(tierText(bench.tier(0), "a")).toBe(undefined);
});

test("StorageManager.drain lets running uploads end and refuses new ones when it is called", async () => {
  const bench = storageBench();
  const upload = await bench.storage.reserve(putRequest("a"));
  const drained = bench.storage.drain();
  expect(await codeOf(() => bench.storage.reserve(putRequest("b")))).toBe("shutting_down");
  expect(await codeOf(() => bench.storage.delete(key("a")))).toBe("shutting_down");
  await upload.write(pattern(10));
  await upload.finish();
  await drained;
  expect(bench.tier(0).objects.size).toBe(1);
  expect(bench.tier(0).closed).toBe(true);
});

test("Upload.abort leaves no trace when it comes in the middle", async () => {
  const bench = storageBench();
  for (const sizeBytes of [100, 5000]) {
    const upload = await bench.storage.reserve(putRequest("a", { sizeBytes }));
    await upload.write(pattern(50));
    upload.abort();
    upload.abort();
  }
  await bench.storage.drain();
  expect(bench.tier(0).objects.size).toBe(0);
  expect(bench.l1.usage().stagingBytes).toBe(0);
  expect(bench.named("l2.store.completed").map(({ outcome }) => outcome)).toEqual(["aborted"]);
  expect(bench.named("sm.write.finished").map(({ outcome }) => outcome)).toEqual(["aborted", "aborted"]);
});

test("StorageManager.storeTotals tells what was stored and what no tier took", async () => {
  const bench = storageBench({ tiers: 2 });
  bench.time.after = () => Promise.resolve();
  await put(bench.storage, "a", { body: "both" });
  bench.tier(0).gate = (step) => {
    if (step === "store") throw new Error("disk gone");
  };
  await put(bench.storage, "b", { body: "one of two" });
  while ((await bench.storage.status()).storeQueue.entries > 0) await Promise.resolve();
  bench.tier(1).gate = bench.tier(0).gate;
  await put(bench.storage, "c", { body: "none" });
  await bench.storage.drain();
  expect(bench.storage.storeTotals).toEqual({ stored: 2, refused: 1 });
});

test("Upload.finish keeps version and times of an object from another server, and holds the late precondition", async () => {
  const bench = storageBench();
  const origin = { sizeBytes: 5, crc32: crc32("hello"), version: 7, createdMs: 1000.5, expiresMs: 9e15 };
  const store = async (durability: "l1" | "l2", late: LateFacts) => {
    const upload = await bench.storage.reserve(putRequest("a", { contentType: "a/b", durability }));
    await upload.write(new TextEncoder().encode("hello"));
    return await upload.finish(late);
  };
  for (const durability of ["l1", "l2"] as const) {
    const { meta } = await store(durability, { origin, precondition: isAbsent });
    expect(meta).toEqual({ ...origin, contentType: "a/b", sha256: "" });
    expect(await codeOf(() => store(durability, { origin, precondition: isAbsent }))).toBe("precondition_failed");
    const again = await store(durability, { origin: { ...origin, version: 8 } });
    expect([again.replaced, again.before]).toEqual([true, meta]);
    expect((await bench.storage.head(key("a")))?.meta.version).toBe(8);
    await bench.storage.delete(key("a"));
  }
});

test("Upload.finish refuses an object from another server when size or checksum are others", async () => {
  const bench = storageBench();
  const origin = { sizeBytes: 5, crc32: crc32("hello"), version: 7, createdMs: 1000, expiresMs: 0 };
  for (const wrong of [{ sizeBytes: 6 }, { crc32: 1 }]) {
    const upload = await bench.storage.reserve(putRequest("a"));
    await upload.write(new TextEncoder().encode("hello"));
    expect(await codeOf(() => upload.finish({ origin: { ...origin, ...wrong } }))).toBe("digest_mismatch");
  }
  expect(await bench.storage.head(key("a"))).toBe(undefined);
});

test("a tier learns the metadata that is known before the bytes, and the precondition after them", async () => {
  const bench = storageBench();
  const told: unknown[] = [];
  const tier = bench.tier(0);
  const store = tier.store.bind(tier);
  tier.store = async (at, source) => {
    told.push(source.early ?? source.atHand?.contentType);
    const stored = await store(at, source);
    told.push(source.precondition?.());
    return stored;
  };
  const precondition = isAbsent;
  await put(bench.storage, "a", { body: "hello", contentType: "a/b", durability: "l2", precondition });
  expect(told.splice(0)).toEqual(["a/b", precondition]);
  const body = pattern(bench.l1.admissionLimitBytes + 1);
  await put(bench.storage, "b", { body, contentType: "a/b", headers: "vitrine-meta-a:b\n", precondition });
  expect(told).toEqual([{ contentType: "a/b", sha256: "", headers: "vitrine-meta-a:b\n" }, precondition]);
});

// From 16 KiB + 1 on a body is staged although it comes whole.
for (const sizeBytes of [0, 1, 16 * 1024, 16 * 1024 + 1]) {
  test(`Upload.finish stores a whole body of ${sizeBytes} bytes, and stages only what is above 16 KiB`, async () => {
    const { storage, l1 } = storageBench({ tiers: 0, admissionLimitBytes: 32_768 });
    let reserved = 0;
    const reserveWrite = l1.reserveWrite.bind(l1);
    l1.reserveWrite = (...args) => {
      reserved++;
      return reserveWrite(...args);
    };
    const body = pattern(sizeBytes, 3);
    const headers = packHeaders([["x-a", "1"]]);
    const fields = { contentType: "text/plain", headers, pieceBytes: 1 << 20, ttlSeconds: 5 };
    const { meta, replaced } = await put(storage, "a", { body, ...fields });
    expect([reserved, replaced]).toEqual([sizeBytes > 16_384 ? 1 : 0, false]);
    expect(l1.peek(key("a"))).toEqual(meta);
    expect(meta).toMatchObject({ sizeBytes, crc32: crc32(body), contentType: "text/plain", headers });
    expect(await getBytes(storage, "a")).toEqual(body);
    expect((await put(storage, "a", { body: "new" })).replaced).toBe(true);
    expect(l1.usage()).toMatchObject({ objects: 1, writeLeases: 0, readLeases: 0, stagingBytes: 0 });
  });
}

test("Upload.finish refuses last bytes that are too many, too few or others than announced, and keeps the object", async () => {
  const { storage, named } = storageBench({ maxObjectBytes: 100 });
  await put(storage, "a", { body: "old" });
  const sha256 = createHash("sha256").update("other").digest("base64");
  const finish = async (fields: Parameters<typeof putRequest>[1], bytes: number): Promise<ErrorCode | undefined> => {
    const upload = await storage.reserve(putRequest("a", fields));
    return await codeOf(() => upload.finish({ last: pattern(bytes) }));
  };
  expect(await finish({ sizeBytes: 5 }, 4)).toBe("length_mismatch");
  expect(await finish({ sizeBytes: 5 }, 6)).toBe("length_mismatch");
  expect(await finish({ sizeBytes: 5, sha256 }, 5)).toBe("digest_mismatch");
  expect(await finish({}, 101)).toBe("too_large");
  expect(await getText(storage, "a")).toBe("old");
  expect(named("sm.write.finished").map(({ outcome }) => outcome)).toEqual([
    "stored",
    "aborted",
    "aborted",
    "aborted",
    "aborted",
  ]);
});

test("Upload.finish stages a whole body and asks the tiers when it cannot tell whether the key has an object", async () => {
  const { storage, l1, ...bench } = storageBench();
  await put(storage, "a", { body: "old" });
  bench.evictAll();
  expect(await codeOf(() => put(storage, "a", { body: "new", precondition: isAbsent }))).toBe("precondition_failed");
  expect((await put(storage, "a", { body: "newer" })).replaced).toBe(true);
  expect(await getText(storage, "a")).toBe("newer");
  expect(l1.usage()).toMatchObject({ writeLeases: 0, stagingBytes: 0 });
});
