import { expect, test } from "bun:test";
import { VitrineError } from "../../src/core/errors.ts";
import { HALF_BYTES } from "../../src/core/hand_over.ts";
import { Gate } from "../support/gate.ts";
import {
  type BenchOptions,
  type ClusterBench,
  clusterBench,
  type ClusterParts,
  clusterParts,
  drainRead,
  getBytes,
  getText,
  key,
  type OwnerBench,
  ownerBench,
  pattern,
  put,
  putRequest,
  type StorageBench,
  tierText,
} from "../support/storage_bench.ts";

interface Cluster {
  readonly a: ClusterBench;
  readonly b: ClusterBench;
  /** Makes the changes of both. */
  readonly owner: OwnerBench;
  readonly parts: ClusterParts;
  /** Another owner, which the managers reach from now on. */
  readonly nextOwner: () => OwnerBench;
}

/**
 * Two managers over one L1 and one tier, which an owner changes for them; what one thread waits for in the other is
 * looked at in each turn of the event loop.
 */
function twoManagers(options: BenchOptions = {}): Cluster {
  const parts = clusterParts(options);
  parts.time.after = () => new Promise((resolve) => setImmediate(resolve));
  const owner = ownerBench(parts, { ...options, workerId: 1 });
  const a = clusterBench(parts, owner, { ...options, workerId: 2 });
  const b = clusterBench(parts, owner, { ...options, workerId: 3 });
  const nextOwner = (): OwnerBench => {
    const next = ownerBench(parts, { ...options, workerId: 4 });
    for (const { changes } of [a, b]) next.connect(changes);
    return next;
  };
  return { a, b, owner, parts, nextOwner };
}

type Gated = Pick<StorageBench, "tier">;

/** Shuts a gate at the n-th pass (from 0) of one step in the first tier. */
function gateAt(bench: Gated, step: string, nth: number = 0): Gate {
  const gate = new Gate();
  let passed = 0;
  bench.tier(0).gate = (name) => name === step && passed++ === nth ? gate.wait() : undefined;
  return gate;
}

/** The code with which it fails. */
async function codeOf(work: Promise<unknown>): Promise<string> {
  try {
    await work;
    return "none";
  } catch (error) {
    if (error instanceof VitrineError) return error.code;
    throw error;
  }
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
  const { a, b, owner } = twoManagers({ storeConcurrency: 1 });
  await seed(a, "a", "old".padEnd(160, "."));
  const found = gateAt(a, "load", 1);
  const reading = getText(a.storage, "a");
  await found.reached;
  expect(await getText(b.storage, "a")).toBe("old".padEnd(160, "."));
  const store = gateAt(owner, "store");
  await put(b.storage, "in front", { body: "x" });
  await store.reached;
  await put(b.storage, "a", { body: "new" });
  // The write is acknowledged, its object in L1 and its store not begun: nothing but its own note tells the reader.
  const loading = gateAt(a, "chunk");
  found.open();
  expect(await reading).toBe("new");
  store.open();
  await owner.owner.end();
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
  const { a, b, owner } = twoManagers({ storeConcurrency: 1 });
  const gate = gateAt(owner, "store");
  await put(b.storage, "first", { body: "x" });
  await gate.reached;
  await put(b.storage, "a", { body: "hello" });
  // "first" holds the owner's only store; the key itself is free.
  expect(await a.storage.delete(key("a"))).toBe(true);
  expect(await getText(a.storage, "a")).toBe(undefined);
  gate.open();
  await owner.owner.end();
  expect(tierText(a.tier(0), "a")).toBe(undefined);
});

test("StorageManager.get is a miss when another manager's object expired before it was stored over an older one", async () => {
  const { a, b, owner } = twoManagers({ storeConcurrency: 1 });
  await seed(a, "a", "old");
  const gate = gateAt(owner, "store");
  await put(b.storage, "b", { body: "in front" });
  await gate.reached;
  await put(b.storage, "a", { body: "new", ttlSeconds: 1 });
  // No timer runs: the owner does not look for what waits.
  b.time.stall(1001);
  expect([await getText(a.storage, "a"), await a.storage.head(key("a"))]).toEqual([undefined, undefined]);
  expect((await a.storage.list({ tenant: "", prefix: "a", limit: 9, after: "", tier: undefined })).entries).toEqual([]);
  gate.open();
  await owner.owner.end();
  expect(tierText(a.tier(0), "a")).toBe(undefined);
});

test("StorageManager never reads a copy that the owner could not delete, nor does the next owner forget it", async () => {
  const { a, b, owner, parts, nextOwner } = twoManagers({ ownTiers: true });
  await seed(a, "a", "old");
  await seed(a, "b", "old");
  owner.tier(0).gate = (step) => {
    if (step === "store" || step === "delete") throw new Error("disk gone");
  };
  for (const name of ["a", "b"]) await put(b.storage, name, { body: "new" });
  while ((await b.storage.status()).storeQueue.entries > 0) await parts.time.after(1);
  a.evictAll();
  expect(tierText(a.tier(0), "a")).toBe("old");
  expect(await getText(a.storage, "a")).toBe(undefined);
  owner.tier(0).gate = () => {};
  await put(a.storage, "c", { body: "c" });
  await owner.owner.end();
  expect(tierText(a.tier(0), "a")).toBe(undefined);
  expect(await put(b.storage, "d", { body: "d" })).toMatchObject({ replaced: false });
  await seed(a, "a", "old");
  owner.tier(0).gate = (step) => {
    if (step === "store" || step === "delete") throw new Error("disk gone");
  };
  await put(b.storage, "a", { body: "new" });
  while ((await b.storage.status()).storeQueue.entries > 0) await parts.time.after(1);
  await owner.die();
  const next = nextOwner();
  a.evictAll();
  expect([await getText(a.storage, "a"), tierText(a.tier(0), "a")]).toEqual([undefined, "old"]);
  // It has met the key among those of the tier.
  await next.owner.end();
  expect(tierText(a.tier(0), "a")).toBe(undefined);
});

test("the store queue has one bound over all managers, and what a dead owner was storing the next one stores", async () => {
  const { a, b, owner, nextOwner } = twoManagers({ storeQueue: { maxEntries: 1, maxBytes: 1000 } });
  const gate = gateAt(owner, "store");
  await put(b.storage, "b", { body: "b" });
  await gate.reached;
  const waiting = put(a.storage, "a", { body: "a" });
  await a.time.after(1);
  expect(a.l1.peek(key("a"))).toBe(undefined);
  await owner.die();
  expect((await a.storage.status()).storeQueue).toMatchObject({ entries: 1, inFlight: 0 });
  const next = nextOwner();
  expect((await waiting).replaced).toBe(false);
  await next.owner.end();
  expect([tierText(a.tier(0), "a"), tierText(a.tier(0), "b")]).toEqual(["a", "b"]);
});

test("the next owner stores what was acknowledged before it, and nothing that was replaced since", async () => {
  const { a, b, owner, nextOwner } = twoManagers({ storeConcurrency: 1 });
  await seed(a, "expired", "old");
  const gate = gateAt(owner, "store");
  for (const name of ["first", "kept", "replaced", "deleted"]) await put(b.storage, name, { body: `${name} of b` });
  await put(b.storage, "expired", { body: "short", ttlSeconds: 1 });
  await gate.reached;
  await b.die();
  await put(a.storage, "replaced", { body: "of a" });
  await a.storage.delete(key("deleted"));
  // No timer runs: nobody looks for what waits.
  b.time.stall(1001);
  await owner.die();
  await nextOwner().owner.end();
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
  test(`StorageManager goes on when the owner died in the middle of ${what}, which fails`, async () => {
    const { a, b, owner, nextOwner } = twoManagers();
    await put(a.storage, "a", { body: "old", durability: "l2" });
    const gate = gateAt(owner, step);
    const failing = codeOf(act(b));
    await gate.reached;
    const behind = codeOf(put(a.storage, "a", { body: "behind it", durability: "l2" }));
    // A write of its own has to wait where somebody clears; nothing else does.
    const acknowledged = put(a.storage, "b", { body: "b" });
    for (let turn = 0; turn < 10; turn += 1) await a.time.after(1);
    await owner.die();
    expect([await failing, await behind]).toEqual(["tier_failed", "tier_failed"]);
    const unsent = put(a.storage, "a", { body: "new", durability: "l2" });
    await a.time.after(1);
    const next = nextOwner();
    await Promise.all([unsent, acknowledged]);
    a.evictAll();
    expect(await getText(a.storage, "a")).toBe("new");
    await next.owner.end();
    expect(tierText(a.tier(0), "b")).toBe("b");
    expect(a.l1.usage()).toMatchObject({ readLeases: 0, writeLeases: 0, stagingBytes: 0 });
  });
}

test("L1 does not hide what became of a change when the owner died in the middle of it", async () => {
  for (const [step, act] of [["commit", put], ["meta", put]] as const) {
    const { a, b, owner, nextOwner } = twoManagers();
    await put(a.storage, "a", { body: "old", durability: "l2" });
    const gate = gateAt(owner, step);
    const failing = codeOf(act(b.storage, "a", { body: "new", durability: "l2" }));
    await gate.reached;
    await owner.die();
    expect(await failing).toBe("tier_failed");
    nextOwner();
    // What the tier has after the death is what everybody reads from then on.
    expect(await getText(a.storage, "a")).toBe(step === "commit" ? "new" : "old");
  }
});

test("a streamed PUT whose manager dies in its last step makes nothing visible", async () => {
  const { a, b, owner } = twoManagers();
  await put(a.storage, "a", { body: "old", durability: "l2" });
  const gate = gateAt(owner, "meta");
  void put(b.storage, "a", { body: pattern(5000), durability: "l2" }).catch(() => {});
  await gate.reached;
  let isDone = false;
  const writing = put(a.storage, "a", { body: "new", durability: "l2" }).finally(() => isDone = true);
  for (let turn = 0; turn < 10; turn += 1) await a.time.after(1);
  expect(isDone).toBe(false);
  await b.die();
  gate.open();
  expect((await writing).replaced).toBe(true);
  a.evictAll();
  expect([await getText(a.storage, "a"), tierText(a.tier(0), "a")]).toEqual(["new", "new"]);
  expect(owner.named("l2.store.completed").map(({ outcome }) => outcome)).toEqual(["ok", "aborted", "ok"]);
});

test("a streamed PUT whose manager dies before its last byte makes nothing visible", async () => {
  const { a, b, owner } = twoManagers();
  const upload = await b.storage.reserve(putRequest("a", { sizeBytes: HALF_BYTES + 5 }));
  await upload.write(new Uint8Array(HALF_BYTES));
  await b.die();
  while (owner.named("l2.store.completed").length === 0) await a.time.after(1);
  expect(owner.named("l2.store.completed").map(({ outcome }) => outcome)).toEqual(["aborted"]);
  expect(await getText(a.storage, "a")).toBe(undefined);
});

test("a streamed PUT keeps its order when its second half comes while the first is not stored yet", async () => {
  const { a, b, owner } = twoManagers();
  const body = pattern(900_000);
  const gate = gateAt(owner, "chunk");
  const writing = put(b.storage, "a", { body, durability: "l2" });
  await gate.reached;
  for (let turn = 0; turn < 10; turn += 1) await a.time.after(1);
  gate.open();
  expect((await writing).meta.sizeBytes).toBe(body.length);
  expect(a.tier(0).objects.get("\0a")?.bytes).toEqual(body);
});

test("a streamed PUT that its manager has timed out makes nothing visible", async () => {
  const { a, b, owner } = twoManagers({ timeoutMs: 1000 });
  await put(a.storage, "a", { body: "old", durability: "l2" });
  const gate = gateAt(owner, "meta");
  const streaming = codeOf(put(b.storage, "a", { body: pattern(5000), durability: "l2" }));
  await gate.reached;
  a.time.advance(1250);
  expect(await streaming).toBe("tier_failed");
  gate.open();
  while (owner.named("l2.store.completed").length < 2) await a.time.after(1);
  expect(owner.named("l2.store.completed").map(({ outcome }) => outcome)).toEqual(["ok", "aborted"]);
  expect(tierText(a.tier(0), "a")).toBe("old");
});

test("a streamed PUT makes nothing visible when the owner that stored it has died", async () => {
  const { a, b, owner, nextOwner } = twoManagers();
  await put(a.storage, "a", { body: "old", durability: "l2" });
  const gate = gateAt(owner, "meta");
  const streaming = codeOf(put(b.storage, "a", { body: pattern(5000), durability: "l2" }));
  await gate.reached;
  await owner.die();
  expect(await streaming).toBe("tier_failed");
  nextOwner();
  await put(a.storage, "a", { body: "new", durability: "l2" });
  gate.open();
  await a.time.after(1);
  a.evictAll();
  expect([await getText(a.storage, "a"), tierText(a.tier(0), "a")]).toEqual(["new", "new"]);
});

test("StorageManager.get asks the tiers itself when the manager that loads dies before any byte came", async () => {
  const { a, b } = twoManagers();
  await seed(a, "a", pattern(160));
  const gate = gateAt(b, "chunk");
  void b.storage.get(key("a"));
  await gate.reached;
  const reading = getBytes(a.storage, "a");
  while (a.l1.usage().readLeases < 2) await a.time.after(1);
  await b.die();
  expect(await reading).toEqual(pattern(160));
  expect(a.l1.usage()).toMatchObject({ readLeases: 0, writeLeases: 0, stagingBytes: 0 });
});

test("ObjectRead.chunks breaks off when the manager that loads dies half-way", async () => {
  const { a, b } = twoManagers();
  await seed(a, "a", pattern(160));
  const gate = gateAt(b, "chunk", 5);
  void b.storage.get(key("a"));
  await gate.reached;
  const read = await a.storage.get(key("a"));
  const chunks = read?.chunks(0, 160);
  expect((await chunks?.next())?.value).toEqual(pattern(160).subarray(0, 80));
  await b.die();
  await expect(chunks?.next()).rejects.toThrow("failed half-way");
  read?.release("aborted");
  expect(await getBytes(a.storage, "a")).toEqual(pattern(160));
});

test("an owner that was declared dead changes no tier any more when it still runs", async () => {
  const { a, b, owner, nextOwner } = twoManagers();
  await put(a.storage, "a", { body: "old", durability: "l2" });
  const gate = gateAt(owner, "chunk");
  const writing = codeOf(put(b.storage, "a", { body: "of the dead", durability: "l2" }));
  await gate.reached;
  await owner.die();
  nextOwner();
  await put(a.storage, "a", { body: "new", durability: "l2" });
  gate.open();
  expect(await writing).toBe("tier_failed");
  await a.time.after(1);
  expect(tierText(a.tier(0), "a")).toBe("new");
  await expect(owner.owner.delete(key("a"), undefined)).rejects.toThrow("declared dead");
});

test("a write whose manager dies while its tiers store is undone, or has been made", async () => {
  const { a, b, owner } = twoManagers();
  await put(a.storage, "a", { body: "old", durability: "l2" });
  const gate = gateAt(owner, "chunk");
  void put(b.storage, "a", { body: "of the dead", durability: "l2" }).catch(() => {});
  await gate.reached;
  await b.die();
  gate.open();
  await put(a.storage, "b", { body: "behind", durability: "l2" });
  a.evictAll();
  expect([await getText(a.storage, "a"), tierText(a.tier(0), "a")]).toEqual(["old", "old"]);
});

test("a delete that its manager has abandoned does not happen later", async () => {
  const { a, b, owner } = twoManagers({ timeoutMs: 1000 });
  await put(a.storage, "a", { body: "old", durability: "l2" });
  const gate = gateAt(owner, "commit");
  const writing = put(b.storage, "a", { body: pattern(5000) });
  await gate.reached;
  const deleting = codeOf(a.storage.delete(key("a")));
  a.time.stall(1000);
  gate.open();
  await writing;
  expect(await deleting).toBe("tier_failed");
  expect(await getBytes(a.storage, "a")).toEqual(pattern(5000));
});

test("a write that its manager has abandoned goes away again", async () => {
  const { a, b, owner } = twoManagers({ timeoutMs: 1000 });
  await put(a.storage, "a", { body: "old", durability: "l2" });
  const gate = gateAt(owner, "commit");
  const writing = codeOf(put(a.storage, "a", { body: "late", durability: "l2" }));
  await gate.reached;
  a.time.advance(1250);
  expect(await writing).toBe("tier_failed");
  gate.open();
  await put(b.storage, "b", { body: "behind", durability: "l2" });
  a.evictAll();
  expect([await getText(a.storage, "a"), tierText(a.tier(0), "a")]).toEqual([undefined, undefined]);
});

test("StorageManager.get fails when the key is being changed for longer than a tier may take", async () => {
  const { a, b, owner } = twoManagers({ timeoutMs: 1000, patienceMs: 1000 });
  const gate = gateAt(owner, "commit");
  void put(a.storage, "a", { body: "new", durability: "l2" }).catch(() => {});
  await gate.reached;
  const reading = codeOf(getText(b.storage, "a"));
  await a.time.after(1);
  a.time.stall(1000);
  expect(await reading).toBe("tier_failed");
  gate.open();
});
