import { expect, test } from "bun:test";
import { causeText, VitrineError } from "../../../src/core/errors.ts";
import { Gate } from "../../support/gate.ts";
import {
  drainRead,
  getBytes,
  getText,
  key,
  LEASE_MS,
  pattern,
  put,
  type StorageBench,
  storageBench,
} from "../../support/storage_bench.ts";

/** Puts an object into the tiers only. */
async function seed(bench: StorageBench, name: string, body: Uint8Array | string): Promise<void> {
  await put(bench.storage, name, { body, durability: "l2" });
  await bench.storage.clear({ tenant: undefined, tier: "l1" });
}

/** Shuts a gate at the n-th pass (from 0) of one step in the first tier. */
function gateAt(bench: StorageBench, step: string, nth: number = 0): Gate {
  const gate = new Gate();
  let passed = 0;
  bench.tier(0).gate = (name) => name === step && passed++ === nth ? gate.wait() : undefined;
  return gate;
}

test("StorageManager.get answers synchronously when L1 has the object", async () => {
  const { storage, named } = storageBench();
  await put(storage, "a", { body: "hello", contentType: "text/plain" });
  const read = storage.get(key("a"));
  if (read === undefined || read instanceof Promise) throw new Error("not synchronous");
  expect(read.tier).toBe("l1");
  expect(read.meta.contentType).toBe("text/plain");
  expect(read.copy(1, 4)).toEqual(new TextEncoder().encode("ell"));
  read.release("finished");
  read.release("aborted");
  expect(named("lookup.finished")).toEqual([
    { tenant: "", tier: "l1", result: "hit", reason: "", keys: 1, bytes: 5, key: "a" },
  ]);
  expect(named("sm.read.prefetched")).toEqual([{ tenant: "", succeeded: 1, failed: 0 }]);
  expect(named("sm.read.finished")).toEqual([{ tenant: "", keys: 1, bytes: 5 }]);
  expect(named("sm.read.aborted")).toEqual([]);
});

const READ_EVENTS = [
  "sm.read.prefetched",
  "lookup.finished",
  "l1.read.reserved",
  "l1.read.finished",
  "sm.read.finished",
  "sm.read.aborted",
] as const;

test("StorageManager.hit counts what a get of the same object counts that is released, also when its user throws", async () => {
  const { storage, named } = storageBench();
  await put(storage, "a", { body: "hello", contentType: "text/plain" });
  const published = (read: () => void) => {
    const before = READ_EVENTS.map((name) => named(name).length);
    read();
    return READ_EVENTS.map((name, i) => [name, ...named(name).slice(before[i])]);
  };
  const byGet = published(() => {
    const read = storage.get(key("a"));
    if (read === undefined || read instanceof Promise) throw new Error("not synchronous");
    read.release("finished");
  });
  const byHit = published(() => {
    const seen = storage.hit(key("a"), 5, ({ contentType }, extents) => [contentType, extents.length]);
    expect(seen).toEqual(["text/plain", 1]);
  });
  expect(byHit).toEqual(byGet);
  const byThrowing = published(() => {
    const fail = () => {
      throw new Error("user");
    };
    expect(() => storage.hit(key("a"), 5, fail)).toThrow("user");
  });
  expect(byThrowing).toEqual(byGet);
  const nothing = READ_EVENTS.map((name) => [name]);
  expect(published(() => void storage.hit(key("a"), 4, () => true))).toEqual(nothing);
  expect(published(() => void storage.hit(key("b"), 5, () => true))).toEqual(nothing);
  expect(named("sm.read.finished").length).toBe(3);
});

for (const call of ["get", "head"] as const) {
  test(`StorageManager.${call} tells its listener how long each tier took, as its events do, and nothing when L1 answers`, async () => {
    const bench = storageBench({ tiers: 2 });
    await seed(bench, "a", "x");
    bench.tier(0).objects.clear();
    for (const index of [0, 1]) bench.tier(index).gate = () => bench.time.stall(250);
    const told: { readonly tier: string; readonly startMs: number; readonly seconds: number }[] = [];
    const listener = {
      missed() {},
      asked: (tier: string, took: { readonly startMs: number; readonly seconds: number }) => {
        told.push({ tier, ...took });
      },
    };
    const startMs = bench.time.nowMs();
    const read = call === "get" ? await bench.storage.get(key("a"), listener) : undefined;
    if (read === undefined) await bench.storage.head(key("a"), listener);
    else await drainRead(read);
    // Each tier's call passes its gate twice.
    expect(told).toEqual([
      { tier: "t1", startMs, seconds: 0.5 },
      { tier: "t2", startMs: startMs + 500, seconds: 0.5 },
    ]);
    const lookups = bench.named("l2.lookup.completed").slice(-2);
    expect(lookups.map(({ tier, seconds }) => [tier, seconds])).toEqual(
      told.map(({ tier, seconds }) => [tier, seconds]),
    );
    await bench.storage.drain();
    const resident = call === "get" ? await bench.storage.get(key("a"), listener) : undefined;
    resident?.release("finished");
    expect(told.length).toBe(2);
  });
}

test("StorageManager.get loads into L1 when only a tier has the object", async () => {
  const bench = storageBench();
  await seed(bench, "a", pattern(1000));
  expect(await getBytes(bench.storage, "a")).toEqual(pattern(1000));
  expect(bench.l1.peek(key("a"))?.sizeBytes).toBe(1000);
  expect(bench.named("lookup.finished")).toEqual([
    { tenant: "", tier: "t1", result: "hit", reason: "", keys: 1, bytes: 1000, key: "a" },
  ]);
  expect(bench.named("l2.load.completed")).toEqual([
    { tier: "t1", tenant: "", keys: 1, outcome: "ok", bytes: 1000, requestedBytes: 1000, seconds: 0 },
  ]);
});

test("StorageManager.get starts one load and streams it to all when many ask at once", async () => {
  const bench = storageBench();
  await seed(bench, "a", pattern(160));
  const gate = gateAt(bench, "chunk", 5);
  bench.tier(0).calls.length = 0;
  const first = await bench.storage.get(key("a"));
  await gate.reached;
  const second = await bench.storage.get(key("a"));
  if (first === undefined || second === undefined) throw new Error("a miss");
  const chunks = second.chunks(0, 160);
  expect((await chunks.next()).value).toEqual(pattern(160).subarray(0, 80));
  gate.open();
  expect(await drainRead(first)).toEqual(pattern(160));
  expect((await chunks.next()).value).toEqual(pattern(160).subarray(80));
  second.release("finished");
  expect(bench.tier(0).calls.filter((call) => call === "load").length).toBe(1);
  expect(bench.named("lookup.finished").map(({ tier, result }) => [tier, result])).toEqual([["t1", "hit"], [
    "t1",
    "hit",
  ]]);
  expect(bench.l1.usage().readLeases).toBe(0);
});

test("StorageManager.get completes the load into L1 when its readers have left", async () => {
  const bench = storageBench();
  await seed(bench, "a", pattern(160));
  const gate = gateAt(bench, "chunk", 5);
  const read = await bench.storage.get(key("a"));
  read?.release("aborted");
  gate.open();
  while ((await bench.storage.status()).loadsInFlight > 0) await Promise.resolve();
  expect(bench.l1.peek(key("a"))?.sizeBytes).toBe(160);
  expect(bench.named("sm.read.aborted").length).toBe(1);
});

test("StorageManager.get streams past L1 when the object is above the admission limit", async () => {
  const bench = storageBench();
  await seed(bench, "a", pattern(5000));
  const read = await bench.storage.get(key("a"));
  if (read === undefined) throw new Error("a miss");
  expect(read.copy(0, 10)).toBe(undefined);
  const part: number[] = [];
  for await (const chunk of read.chunks(4000, 4100)) part.push(...chunk);
  expect(Uint8Array.from(part)).toEqual(pattern(5000).subarray(4000, 4100));
  expect(await drainRead(read)).toEqual(pattern(5000));
  expect(bench.l1.peek(key("a"))).toBe(undefined);
});

test("StorageManager.get streams past L1 when L1 has no room", async () => {
  const bench = storageBench({ l1Bytes: 8192 });
  await seed(bench, "a", pattern(4000));
  const filler = Array.from({ length: 5 }, (_, index) => ({
    key: key(`f${index}`),
    sizeBytes: 1000,
    contentType: "",
    sha256: "",
  }));
  bench.l1.reserveWrite(filler, "filler");
  expect(await getBytes(bench.storage, "a")).toEqual(pattern(4000));
  expect(bench.named("l1.allocation.failed")).toEqual([{ during: "l2_prefetch", keys: 1, bytes: 4000 }]);
});

test("StorageManager.get goes on in the next tier when one fails half-way", async () => {
  const bench = storageBench({ tiers: 2 });
  await seed(bench, "a", pattern(400));
  let chunks = 0;
  bench.tier(0).gate = (step) => {
    if (step === "chunk" && (chunks += 1) === 3) throw new Error("disk gone");
  };
  expect(await getBytes(bench.storage, "a")).toEqual(pattern(400));
  expect(bench.named("l2.load.completed").map(({ tier, outcome, bytes }) => [tier, outcome, bytes])).toEqual([
    ["t1", "failed", 32],
    ["t2", "ok", 368],
  ]);
});

test("StorageManager.get breaks off with tier_failed when no tier can finish the load", async () => {
  const bench = storageBench();
  await seed(bench, "a", pattern(400));
  let chunks = 0;
  bench.tier(0).gate = (step) => {
    if (step === "chunk" && (chunks += 1) === 3) throw new Error("disk gone");
  };
  await expect(getBytes(bench.storage, "a")).rejects.toThrow("failed half-way");
  expect(bench.l1.peek(key("a"))).toBe(undefined);
  expect(bench.l1.usage().stagingBytes).toBe(0);
});

test("StorageManager.get never hands out all bytes when their checksum is wrong", async () => {
  const bench = storageBench();
  for (const size of [400, 5000]) {
    await seed(bench, "a", pattern(size));
    const stored = bench.tier(0).objects.get("\0a");
    if (stored !== undefined) stored.bytes[7] = 99;
    const read = await bench.storage.get(key("a"));
    let seen = 0;
    const consume = async (): Promise<void> => {
      for await (const chunk of read?.chunks(0, size) ?? []) seen += chunk.length;
    };
    const failure: unknown = await consume().catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(VitrineError);
    expect(causeText(failure)).toContain("wrong checksum from t1");
    read?.release("aborted");
    expect(seen < size).toBe(true);
    expect(bench.l1.peek(key("a"))).toBe(undefined);
    const [load] = bench.named("l2.load.completed").slice(-1);
    expect(load).toMatchObject({ tier: "t1", outcome: "failed", error: "load from tier: wrong checksum from t1" });
  }
});

test("StorageManager.get does not take an empty rest from the next tier for an object whose checksum is wrong", async () => {
  const bench = storageBench({ tiers: 2 });
  await seed(bench, "a", pattern(5000));
  const stored = bench.tier(0).objects.get("\0a");
  if (stored !== undefined) stored.bytes[7] = 99;
  await expect(getBytes(bench.storage, "a")).rejects.toThrow("no tier could give all of its bytes");
});

test("StorageManager.get counts a load that cannot be opened as failed when it goes on in the next tier", async () => {
  const bench = storageBench({ tiers: 2 });
  await seed(bench, "a", pattern(400));
  let chunks = 0;
  bench.tier(0).gate = (step) => {
    if (step === "chunk" && (chunks += 1) === 3) throw new Error("disk gone");
  };
  bench.tier(1).gate = (step) => {
    if (step === "load") throw new Error("host gone");
  };
  const failure: unknown = await getBytes(bench.storage, "a").catch((error: unknown) => error);
  expect(causeText(failure)).toContain("host gone");
  expect(bench.named("l2.load.submitted").map(({ tier, bytes }) => [tier, bytes])).toEqual([["t1", 400], ["t2", 368]]);
  expect(
    bench.named("l2.load.completed").map(({ tier, outcome, requestedBytes, error }) => [
      tier,
      outcome,
      requestedBytes,
      error,
    ]),
  ).toEqual([["t1", "failed", 400, "disk gone"], ["t2", "failed", 368, "host gone"]]);
});

test("StorageManager.get counts a load as failed when it cannot be opened again for a second reader", async () => {
  const bench = storageBench();
  await seed(bench, "a", pattern(5000));
  const gate = gateAt(bench, "load", 0);
  const readings = [getBytes(bench.storage, "a"), getBytes(bench.storage, "a")];
  await gate.reached;
  let loads = 0;
  bench.tier(0).gate = (step) => {
    if (step === "load" && (loads += 1) === 2) throw new Error("disk gone");
  };
  gate.open();
  expect(await Promise.all(readings)).toEqual([pattern(5000), pattern(5000)]);
  expect(bench.named("l2.load.completed").filter(({ outcome }) => outcome === "failed").map(({ error }) => error))
    .toEqual(["disk gone"]);
});

test("StorageManager.get throws tier_failed when a tier fails and no other has the object", async () => {
  const bench = storageBench({ tiers: 2 });
  bench.tier(0).gate = () => {
    throw new Error("disk gone");
  };
  await expect(getBytes(bench.storage, "a")).rejects.toThrow("a tier failed");
  expect(bench.named("lookup.finished").map(({ result, tier }) => [result, tier])).toEqual([["error", ""]]);
  await bench.tier(1).store(key("b"), {
    chunks: (async function* () {
      yield pattern(1);
    })(),
    meta: () => ({ sizeBytes: 1, crc32: 0, version: 1, createdMs: 0, expiresMs: 0, contentType: "", sha256: "" }),
  });
  expect((await bench.storage.head(key("b")))?.tier).toBe("t2");
});

test("StorageManager.get does not join the load of an older object when a newer one was stored and evicted", async () => {
  const bench = storageBench();
  await seed(bench, "a", "old".padEnd(160, "."));
  const gate = gateAt(bench, "chunk", 5);
  const old = await bench.storage.get(key("a"));
  await gate.reached;
  await put(bench.storage, "a", { body: "new" });
  await bench.storage.clear({ tenant: undefined, tier: "l1" });
  expect(await getText(bench.storage, "a")).toBe("new");
  gate.open();
  if (old === undefined) throw new Error("a miss");
  expect(new TextDecoder().decode(await drainRead(old))).toBe("old".padEnd(160, "."));
  bench.evictAll();
  expect(await getText(bench.storage, "a")).toBe("new");
});

test("StorageManager.get starts over when the key was changed while the tiers were asked", async () => {
  const bench = storageBench();
  await seed(bench, "a", "old");
  const gate = gateAt(bench, "load", 1);
  const reading = getText(bench.storage, "a");
  await gate.reached;
  expect(await bench.storage.delete(key("a"))).toBe(true);
  gate.open();
  expect(await reading).toBe(undefined);
});

for (const kind of ["get", "head"] as const) {
  test(`StorageManager.${kind} does not show a new object before its PUT is decided when a tier already has it`, async () => {
    const bench = storageBench();
    await seed(bench, "a", "old");
    const asked = new Gate();
    const committed = new Gate();
    let asks = 0;
    bench.tier(0).gate = (step) => {
      if (step === "commit") return committed.wait();
      return step === (kind === "get" ? "load" : "lookup") && asks++ === 0 ? asked.wait() : undefined;
    };
    let answered = false;
    const ask = async (): Promise<number | undefined> => {
      if (kind === "head") return (await bench.storage.head(key("a")))?.meta.sizeBytes;
      const read = await bench.storage.get(key("a"));
      read?.release("finished");
      return read?.meta.sizeBytes;
    };
    const answer = ask().finally(() => answered = true);
    await asked.reached;
    const writing = put(bench.storage, "a", { body: "newer", durability: "l2" });
    await committed.reached;
    asked.open();
    for (let turn = 0; turn < 100; turn += 1) await Promise.resolve();
    expect(answered).toBe(false);
    committed.open();
    await writing;
    expect(await answer).toBe(5);
  });
}

test("StorageManager.get is a miss when the object expired before it was stored over an older one", async () => {
  const bench = storageBench({ storeConcurrency: 1 });
  await seed(bench, "a", "old");
  const gate = gateAt(bench, "store");
  await put(bench.storage, "b", { body: "in front" });
  await gate.reached;
  await put(bench.storage, "a", { body: "new", ttlSeconds: 1 });
  bench.time.advance(1001);
  expect(await getText(bench.storage, "a")).toBe(undefined);
  expect(await bench.storage.head(key("a"))).toBe(undefined);
  gate.open();
  await bench.storage.drain();
  expect(bench.tier(0).objects.has("\0a")).toBe(false);
});

test("StorageManager keeps the lease of a reader that stalls when its timers run", async () => {
  const bench = storageBench();
  await put(bench.storage, "a", { body: pattern(1000) });
  const read = await bench.storage.get(key("a"));
  bench.time.advance(60_000);
  bench.l1.tick();
  bench.evictAll();
  expect(read && await drainRead(read)).toEqual(pattern(1000));
});

test("ObjectRead.chunks throws before handing out memory when the lease has run out", async () => {
  const bench = storageBench();
  await put(bench.storage, "a", { body: pattern(1000) });
  const read = await bench.storage.get(key("a"));
  bench.time.stall(LEASE_MS + 1);
  bench.l1.tick();
  expect(read?.copy(0, 10)).toBe(undefined);
  await expect(read?.chunks(0, 10).next()).rejects.toThrow("lease has run out");
  read?.release("aborted");
});

test("StorageManager serves an object of no bytes when it comes from L1 or a tier", async () => {
  const bench = storageBench();
  await seed(bench, "a", "");
  expect(await getText(bench.storage, "a")).toBe("");
  expect(await getText(bench.storage, "a")).toBe("");
  expect(bench.named("lookup.finished").map(({ tier }) => tier)).toEqual(["t1", "l1"]);
});
