import { expect, test } from "bun:test";
import type { ForeignChange, L2Adapter } from "../../../src/l2/adapter.ts";
import { Gate } from "../../support/gate.ts";
import {
  type BenchOptions,
  clusterBench,
  clusterParts,
  getText,
  key,
  ownerBench,
  put,
  type StorageBench,
  storageBench,
  tierText,
} from "../../support/storage_bench.ts";

interface SharedBench {
  readonly bench: StorageBench;
  /** Another server changes the shared tier, and this one notices. */
  readonly notice: (change: ForeignChange) => Promise<void>;
  /** True while changes are followed. */
  readonly isFollowed: () => boolean;
}

/** Lets an adapter report changes, as one in which several servers store. */
function shareable() {
  const listeners = new Set<(change: ForeignChange) => void>();
  const share = <T extends L2Adapter>(adapter: T): T & L2Adapter =>
    Object.assign(adapter, {
      isShared: true,
      keys: undefined,
      followChanges: (onChange: (change: ForeignChange) => void) => {
        listeners.add(onChange);
        return () => void listeners.delete(onChange);
      },
    });
  return { share, listeners };
}

async function turns(): Promise<void> {
  for (let turn = 0; turn < 20; turn += 1) await new Promise((resolve) => setImmediate(resolve));
}

/** The first tier is the one that servers share; others are this server's own. */
function sharedBench(options: BenchOptions = {}): SharedBench {
  const { share, listeners } = shareable();
  const bench = storageBench({
    ownTiers: true,
    ...options,
    wrap: (adapter) => adapter.name === "t1" ? share(adapter) : adapter,
  });
  bench.time.after = () => new Promise((resolve) => setImmediate(resolve));
  const notice = async (change: ForeignChange): Promise<void> => {
    for (const listener of listeners) listener(change);
    await turns();
  };
  return { bench, notice, isFollowed: () => listeners.size > 0 };
}

const changeOf = (name: string): ForeignChange => ({ kind: "key", key: key(name) });

test("a copy in L1 is dropped when another server has replaced the object", async () => {
  const { bench, notice } = sharedBench();
  await put(bench.storage, "a", { body: "mine", durability: "l2" });
  await put(bench.storage, "b", { body: "stays", durability: "l2" });
  bench.tier(0).objects.clear();
  expect(await getText(bench.storage, "a")).toBe("mine");
  await notice(changeOf("a"));
  expect(await getText(bench.storage, "a")).toBe(undefined);
  expect(await getText(bench.storage, "b")).toBe("stays");
  // It is not known how the other server's copy was lost.
  expect(bench.named("lookup.finished").map(({ result, reason }) => [result, reason])).toEqual([
    ["hit", ""],
    ["miss", "unknown"],
    ["hit", ""],
  ]);
});

test("what is dirty stays, because its store is the later change", async () => {
  const { bench, notice } = sharedBench();
  bench.tier(0).trouble = "no connection";
  await put(bench.storage, "a", { body: "mine" });
  await turns();
  await notice(changeOf("a"));
  await notice({ kind: "any" });
  expect(await getText(bench.storage, "a")).toBe("mine");
  bench.tier(0).trouble = undefined;
  await turns();
  expect(tierText(bench.tier(0), "a")).toBe("mine");
});

for (const [where, step, nth] of [["has opened the object", "load", 1], ["is staging it", "chunk", 0]] as const) {
  test(`a load that ${where} when another server changes it does not put the older object into L1`, async () => {
    const { bench, notice } = sharedBench();
    await put(bench.storage, "a", { body: "old", durability: "l2" });
    await bench.storage.clear({ tenant: undefined, tier: "l1" });
    const gate = new Gate();
    let passed = 0;
    bench.tier(0).gate = (name) => name === step && passed++ === nth ? gate.wait() : undefined;
    const reading = getText(bench.storage, "a");
    await gate.reached;
    bench.tier(0).objects.clear();
    await notice(changeOf("a"));
    gate.open();
    await reading;
    await turns();
    expect(bench.l1.peek(key("a"))).toBe(undefined);
  });
}

test("a private tier loses its copy, too", async () => {
  const { bench, notice } = sharedBench({ tiers: 2 });
  await put(bench.storage, "a", { body: "mine", durability: "l2" });
  await put(bench.storage, "b", { body: "mine", durability: "l2" });
  await notice(changeOf("a"));
  expect([tierText(bench.tier(0), "a"), tierText(bench.tier(1), "a"), tierText(bench.tier(1), "b")]).toEqual([
    "mine",
    undefined,
    "mine",
  ]);
  await notice({ kind: "any" });
  expect([tierText(bench.tier(0), "b"), tierText(bench.tier(1), "b")]).toEqual(["mine", undefined]);
});

test("all of a tenant's copies are dropped when another server has cleared them", async () => {
  const { bench, notice } = sharedBench();
  await put(bench.storage, "a", { body: "mine", durability: "l2" });
  await notice({ kind: "tenant", tenant: "other" });
  expect(bench.l1.peek(key("a"))).toBeDefined();
  await notice({ kind: "tenant", tenant: "" });
  expect(bench.l1.peek(key("a"))).toBe(undefined);
});

test("a new owner drops from L1 what may have become outdated while nobody followed the changes", async () => {
  const { share, listeners } = shareable();
  const wrap = (adapter: L2Adapter): L2Adapter => adapter.name === "t1" ? share(adapter) : adapter;
  const options = { wrap, tiers: 2, ownTiers: true } as const;
  const parts = clusterParts(options);
  parts.time.after = () => new Promise((resolve) => setImmediate(resolve));
  const first = ownerBench(parts, { ...options, workerId: 1 });
  const worker = clusterBench(parts, first, { ...options, workerId: 2 });
  await put(worker.storage, "a", { body: "mine", durability: "l2" });
  expect(worker.l1.peek(key("a"))).toBeDefined();
  await first.die();
  listeners.clear();
  ownerBench(parts, { ...options, workerId: 3 });
  await turns();
  expect([worker.l1.peek(key("a")), listeners.size]).toEqual([undefined, 1]);
  // The private tier may have what the shared one did not take.
  expect(tierText(worker.tier(1), "a")).toBe("mine");
});

test("changes are not followed any more when the owner has ended", async () => {
  const { bench, isFollowed } = sharedBench();
  expect(isFollowed()).toBe(true);
  await bench.storage.drain();
  expect(isFollowed()).toBe(false);
});
