import { expect, test } from "bun:test";
import { releaseSeat } from "../../src/storage/shared/release_seat.ts";
import { Gate } from "../support/gate.ts";
import {
  type BenchOptions,
  clusterBench,
  type ClusterParts,
  clusterParts,
  drainRead,
  getBytes,
  getText,
  key,
  pattern,
  put,
  putRequest,
  type StorageBench,
  tierText,
} from "../support/storage_bench.ts";

interface Cluster {
  readonly a: StorageBench;
  readonly b: StorageBench;
  readonly parts: ClusterParts;
  /** Ends the second one's part as if its thread had died; what waits at its gates goes on waiting. */
  readonly kill: () => Promise<void>;
}

/**
 * Two managers over one L1 and one tier; what one thread waits for in the other is looked at in each turn of the event
 * loop.
 */
function twoManagers(options: BenchOptions = {}): Cluster {
  const parts = clusterParts({ ...options, places: 2 });
  parts.time.after = () => new Promise((resolve) => setImmediate(resolve));
  const a = clusterBench(parts, { ...options, place: 0, holder: 1 });
  const b = clusterBench(parts, { ...options, place: 1, holder: 2 });
  const kill = async (): Promise<void> => {
    await a.l1.takeOver(2);
    releaseSeat(parts.keys, { dead: { place: 1, holder: 2 }, holder: 1 });
  };
  return { a, b, parts, kill };
}

/** Shuts a gate at the n-th pass (from 0) of one step in the first tier. */
function gateAt(bench: StorageBench, step: string, nth: number = 0): Gate {
  const gate = new Gate();
  let passed = 0;
  bench.tier(0).gate = (name) => name === step && passed++ === nth ? gate.wait() : undefined;
  return gate;
}

async function seed(bench: StorageBench, name: string, body: Uint8Array | string): Promise<void> {
  await put(bench.storage, name, { body, durability: "l2" });
  await bench.storage.clear({ tenant: undefined, tier: "l1" });
}

test("StorageManager.get follows the load of another manager, bytes as they come", async () => {
  const { a, b } = twoManagers();
  await seed(a, "a", pattern(160));
  const gate = gateAt(a, "chunk", 5);
  const first = await a.storage.get(key("a"));
  await gate.reached;
  const second = await b.storage.get(key("a"));
  if (first === undefined || second === undefined) throw new Error("a miss");
  const chunks = second.chunks(0, 160);
  expect((await chunks.next()).value).toEqual(pattern(160).subarray(0, 80));
  gate.open();
  expect(await drainRead(first)).toEqual(pattern(160));
  expect((await chunks.next()).value).toEqual(pattern(160).subarray(80));
  second.release("finished");
  expect([second.tier, b.tier(0).calls]).toEqual(["t1", []]);
  expect(b.named("lookup.finished").map(({ tier, result }) => [tier, result])).toEqual([["t1", "hit"]]);
  expect(a.l1.usage().readLeases).toBe(0);
});

test("StorageManager.get follows the faster load when two managers began at once", async () => {
  const { a, b } = twoManagers();
  await seed(a, "a", pattern(160));
  const slow = gateAt(b, "load");
  const reading = getBytes(b.storage, "a");
  await slow.reached;
  const gate = gateAt(a, "chunk", 5);
  const first = getBytes(a.storage, "a");
  await gate.reached;
  slow.open();
  while (a.l1.usage().readLeases < 2) await new Promise((resolve) => setImmediate(resolve));
  gate.open();
  expect(await Promise.all([first, reading])).toEqual([pattern(160), pattern(160)]);
  expect([a, b].map((bench) => bench.named("l2.load.submitted").length)).toEqual([1, 0]);
});

test("StorageManager.get does not join a load that began before another manager's write", async () => {
  const { a, b } = twoManagers({ storeConcurrency: 1 });
  await seed(a, "a", "old".padEnd(160, "."));
  const found = gateAt(a, "load", 1);
  const reading = getText(a.storage, "a");
  await found.reached;
  expect(await getText(b.storage, "a")).toBe("old".padEnd(160, "."));
  const store = gateAt(b, "store");
  await put(b.storage, "in front", { body: "x" });
  await store.reached;
  await put(b.storage, "a", { body: "new" });
  // The write is acknowledged, its object in L1 and its store not begun: nothing but its own note tells the reader.
  const loading = gateAt(a, "chunk");
  found.open();
  expect(await reading).toBe("new");
  store.open();
  await b.storage.drain();
  a.evictAll();
  loading.open();
  expect(await getText(a.storage, "a")).toBe("new");
});

test("StorageManager.reserve stages uploads of one key side by side when two managers begin them at once", async () => {
  const { a, b } = twoManagers();
  const request = putRequest("a", { sizeBytes: 1 });
  const uploads = await Promise.all([a.storage.reserve(request), b.storage.reserve(request)]);
  for (const [index, upload] of uploads.entries()) {
    await upload.write(Uint8Array.of(index));
    await upload.finish();
  }
  expect(await getBytes(a.storage, "a")).toEqual(Uint8Array.of(1));
  expect([...a.named("l1.allocation.failed"), ...b.named("l1.allocation.failed")]).toEqual([]);
});

test("StorageManager.delete ends what another manager has not stored yet", async () => {
  const { a, b } = twoManagers({ storeConcurrency: 1 });
  const gate = gateAt(b, "store");
  await put(b.storage, "first", { body: "x" });
  await gate.reached;
  await put(b.storage, "a", { body: "hello" });
  // "first" holds b's only store; the key itself is free.
  expect(await a.storage.delete(key("a"))).toBe(true);
  expect(await getText(a.storage, "a")).toBe(undefined);
  gate.open();
  await b.storage.drain();
  expect(tierText(a.tier(0), "a")).toBe(undefined);
});

test("StorageManager.get is a miss when another manager's object expired before it was stored over an older one", async () => {
  const { a, b } = twoManagers({ storeConcurrency: 1 });
  await seed(a, "a", "old");
  const gate = gateAt(b, "store");
  await put(b.storage, "b", { body: "in front" });
  await gate.reached;
  await put(b.storage, "a", { body: "new", ttlSeconds: 1 });
  b.time.advance(1001);
  expect([await getText(a.storage, "a"), await a.storage.head(key("a"))]).toEqual([undefined, undefined]);
  expect((await a.storage.list({ tenant: "", prefix: "a", limit: 9, after: "", tier: undefined })).entries).toEqual([]);
  gate.open();
  await b.storage.drain();
  expect(tierText(a.tier(0), "a")).toBe(undefined);
});

test("StorageManager never reads a copy that another manager could not delete, and either removes it later", async () => {
  const { a, b, parts } = twoManagers();
  await seed(a, "a", "old");
  b.tier(0).gate = (step) => {
    if (step === "store" || step === "delete") throw new Error("disk gone");
  };
  await put(b.storage, "a", { body: "new" });
  while ((await b.storage.status()).storeQueue.entries > 0) await parts.time.after(1);
  a.evictAll();
  expect(tierText(a.tier(0), "a")).toBe("old");
  expect(await getText(a.storage, "a")).toBe(undefined);
  await put(a.storage, "b", { body: "b" });
  await a.storage.drain();
  expect(tierText(a.tier(0), "a")).toBe(undefined);
  expect(await put(b.storage, "c", { body: "c" })).toMatchObject({ replaced: false });
});

test("the store queue has one bound over all managers, and a dead one's share comes back", async () => {
  const { a, b, kill } = twoManagers({ storeQueue: { maxEntries: 1, maxBytes: 1000 } });
  const gate = gateAt(b, "store");
  await put(b.storage, "b", { body: "b" });
  await gate.reached;
  const waiting = put(a.storage, "a", { body: "a" });
  await a.time.after(1);
  expect(a.l1.peek(key("a"))).toBe(undefined);
  await kill();
  expect((await waiting).replaced).toBe(false);
  expect(a.storage.adopt(2)).toBe(1);
  expect((await a.storage.status()).storeQueue.entries).toBeGreaterThan(0);
  await a.storage.drain();
  expect([tierText(a.tier(0), "a"), tierText(a.tier(0), "b")]).toEqual(["a", "b"]);
});

test("StorageManager.adopt stores what a dead manager had acknowledged, and nothing that was replaced since", async () => {
  const { a, b, kill } = twoManagers({ storeConcurrency: 1 });
  await seed(a, "expired", "old");
  const gate = gateAt(b, "store");
  for (const name of ["first", "kept", "replaced", "deleted"]) await put(b.storage, name, { body: `${name} of b` });
  await put(b.storage, "expired", { body: "short", ttlSeconds: 1 });
  await gate.reached;
  await put(a.storage, "replaced", { body: "of a" });
  await a.storage.delete(key("deleted"));
  b.time.advance(1001);
  await kill();
  expect(a.storage.adopt(2)).toBe(5);
  await a.storage.drain();
  expect(["first", "kept", "replaced", "deleted", "expired"].map((name) => tierText(a.tier(0), name))).toEqual([
    "first of b",
    "kept of b",
    "of a",
    undefined,
    undefined,
  ]);
  expect(a.l1.usage()).toMatchObject({ readLeases: 0, writeLeases: 0 });
});

for (
  const [what, step, act] of [
    ["a write", "commit", (bench: StorageBench) => put(bench.storage, "a", { body: "of b", durability: "l2" })],
    ["a delete", "delete", (bench: StorageBench) => bench.storage.delete(key("a"))],
    ["a clear", "clear", (bench: StorageBench) => bench.storage.clear({ tenant: undefined, tier: undefined })],
  ] as const
) {
  test(`StorageManager goes on when another manager died in the middle of ${what}`, async () => {
    const { a, b, kill } = twoManagers();
    await put(a.storage, "a", { body: "old", durability: "l2" });
    const gate = gateAt(b, step);
    void act(b);
    await gate.reached;
    let done = false;
    const writing = put(a.storage, "a", { body: "new", durability: "l2" }).finally(() => done = true);
    for (let turn = 0; turn < 10; turn += 1) await a.time.after(1);
    expect(done).toBe(false);
    await kill();
    await writing;
    a.evictAll();
    expect(await getText(a.storage, "a")).toBe("new");
  });
}

test("StorageManager.get asks the tiers itself when the manager that loads dies before any byte came", async () => {
  const { a, b, kill } = twoManagers();
  await seed(a, "a", pattern(160));
  const gate = gateAt(b, "chunk");
  void b.storage.get(key("a"));
  await gate.reached;
  const reading = getBytes(a.storage, "a");
  while (a.l1.usage().readLeases < 2) await a.time.after(1);
  await kill();
  expect(await reading).toEqual(pattern(160));
  expect(a.l1.usage()).toMatchObject({ readLeases: 0, writeLeases: 0, stagingBytes: 0 });
});

test("ObjectRead.chunks breaks off when the manager that loads dies half-way", async () => {
  const { a, b, kill } = twoManagers();
  await seed(a, "a", pattern(160));
  const gate = gateAt(b, "chunk", 5);
  void b.storage.get(key("a"));
  await gate.reached;
  const read = await a.storage.get(key("a"));
  const chunks = read?.chunks(0, 160);
  expect((await chunks?.next())?.value).toEqual(pattern(160).subarray(0, 80));
  await kill();
  await expect(chunks?.next()).rejects.toThrow("failed half-way");
  read?.release("aborted");
  expect(await getBytes(a.storage, "a")).toEqual(pattern(160));
});

test("a manager that was declared dead changes no tier any more when it still runs", async () => {
  const { a, b, kill } = twoManagers();
  await put(a.storage, "a", { body: "old", durability: "l2" });
  const gate = gateAt(b, "chunk");
  const writing = put(b.storage, "a", { body: "of the dead", durability: "l2" }).catch(() => "refused");
  await gate.reached;
  await kill();
  await put(a.storage, "a", { body: "new", durability: "l2" });
  gate.open();
  expect(await writing).toBe("refused");
  expect(tierText(a.tier(0), "a")).toBe("new");
  await expect(b.storage.delete(key("a"))).rejects.toThrow("declared dead");
});
