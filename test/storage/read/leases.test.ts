import { expect, test } from "bun:test";
import * as fc from "fast-check";
import type { HeldKeys } from "../../../src/storage/storage.ts";
import {
  clusterBench,
  clusterParts,
  getText,
  key,
  ownerBench,
  pattern,
  put,
  type StorageBench,
  storageBench,
} from "../../support/storage_bench.ts";

const A = { high: 1, low: 1 };
const B = { high: 1, low: 2 };
const MINUTE_MS = 60_000;

async function lease(
  { storage, time }: Pick<StorageBench, "storage" | "time">,
  names: readonly string[],
  { holder = A, ms = MINUTE_MS, loads = false } = {},
): Promise<HeldKeys> {
  const leasing = { holder, untilMs: time.monotonicMs() + ms, loads };
  return await storage.lookup(names.map((name) => key(name)), { leasing });
}

/** Writes more than L1 has room for. */
async function flood({ storage }: StorageBench): Promise<void> {
  for (let i = 0; i < 60; i++) await put(storage, `flood${i}`, { body: pattern(2048) });
}

test("StorageManager.lookup leases what L1 has: it survives a flood until it is released or its time is over", async () => {
  const bench = storageBench({ tiers: 0 });
  const { storage, l1, time } = bench;
  for (const name of ["released", "expired", "free"]) await put(storage, name, { body: name });
  expect(await lease(bench, ["released"])).toMatchObject({ levels: new Uint32Array([1]), refused: [] });
  await lease(bench, ["expired", "none"], { holder: B });
  await flood(bench);
  const resident = () => l1.has(["released", "expired", "free"].map((name) => key(name)));
  expect(resident()).toEqual([true, true, false]);
  expect([l1.usage().holds, storage.release(A, ""), storage.release(A, "")]).toEqual([2, 1, 0]);
  await flood(bench);
  expect(resident()).toEqual([false, true, false]);
  time.advance(MINUTE_MS);
  l1.tick();
  await flood(bench);
  expect([resident(), l1.usage().holds, l1.usage().heldBytes]).toEqual([[false, false, false], 0, 0]);
  const told = [bench.named("l1.hold.taken"), bench.named("l1.hold.released"), bench.named("l1.hold.expired")];
  expect(told.map((events) => events.length)).toEqual([2, 1, 1]);
});

test("a lease does not keep an object from being replaced, deleted or expired, and gives its memory back", async () => {
  const bench = storageBench({ tiers: 0 });
  const { storage, l1, time } = bench;
  for (const name of ["replaced", "deleted"]) await put(storage, name, { body: "old" });
  await put(storage, "expires", { body: "old", ttlSeconds: 1 });
  await lease(bench, ["replaced", "deleted", "expires"]);
  await put(storage, "replaced", { body: "new" });
  await storage.delete(key("deleted"));
  time.advance(1000);
  const texts = await Promise.all(["replaced", "deleted", "expires"].map((name) => getText(storage, name)));
  expect(texts).toEqual(["new", undefined, undefined]);
  expect(l1.usage().holds).toBe(3);
  storage.release(A, "");
  expect(l1.usage()).toMatchObject({ objects: 1, usedBytes: 64, holds: 0, heldBytes: 0 });
});

test("only the tenant of the objects releases a lease", async () => {
  const bench = storageBench({ tiers: 0 });
  await put(bench.storage, "a", { body: "x" });
  await lease(bench, ["a"]);
  expect([bench.storage.release(A, "other"), bench.storage.release(B, ""), bench.storage.release(A, "")]).toEqual([
    0,
    0,
    1,
  ]);
});

test("leases take a quarter of L1 and of the lease rows, and no more: the others are named", async () => {
  const bench = storageBench({ tiers: 0 });
  const { l1 } = bench;
  // With its key each takes 2048 bytes exactly: eight are a quarter of 64 KiB.
  const names = Array.from({ length: 10 }, (_, i) => String(i));
  for (const name of names) await put(bench.storage, name, { body: pattern(2000) });
  expect((await lease(bench, names)).refused).toEqual([8, 9]);
  expect(l1.usage()).toMatchObject({ holds: 8, heldBytes: 16_384 });
  expect(bench.named("sm.lease.refused")).toMatchObject([{ keys: 2 }]);
  bench.storage.release(A, "");
  expect((await lease(bench, names.slice(8))).refused).toEqual([]);
  bench.storage.release(A, "");
  await put(bench.storage, "small", { body: "" });
  const many = await lease(bench, Array(130).fill("small"));
  expect([many.refused, l1.usage().holds]).toEqual([[128, 129], 128]);
  // The other rows are for readers.
  expect(await getText(bench.storage, "small")).toBe("");
});

test("a lookup that loads brings what only a tier has into L1 first, and leases it", async () => {
  const bench = storageBench({ tiers: 2 });
  const { storage, l1 } = bench;
  for (const name of ["a", ""]) await put(storage, name || "empty", { body: name, durability: "l2" });
  bench.evictAll();
  bench.tier(0).objects.clear();
  expect(await lease(bench, ["a", "none", "empty"])).toMatchObject({ levels: new Uint32Array([4, 0, 4]) });
  expect(l1.usage().holds).toBe(0);
  expect(await lease(bench, ["a", "none", "empty"], { loads: true })).toMatchObject({
    levels: new Uint32Array([5, 0, 5]),
    prefixes: [1, 1, 1],
    refused: [],
  });
  expect(l1.usage()).toMatchObject({ holds: 2, readLeases: 0 });
  await flood(bench);
  expect(l1.has([key("a"), key("empty")])).toEqual([true, true]);
  // Nobody has read anything.
  expect([bench.named("sm.read.finished"), bench.named("sm.read.aborted"), bench.named("lookup.finished")]).toEqual([
    [],
    [],
    [],
  ]);
});

test("a lookup that loads stops when no more leases are to be had, and at the end of its time", async () => {
  const bench = storageBench();
  const names = Array.from({ length: 40 }, (_, i) => String(i));
  for (const name of names) await put(bench.storage, name, { body: pattern(2000), durability: "l2" });
  bench.evictAll();
  const loads = () => bench.tier(0).calls.filter((step) => step === "load").length;
  const { levels, refused } = await lease(bench, names, { loads: true });
  expect([bench.l1.usage().holds, levels.filter((bits) => bits === 3).length - refused.length < 9]).toEqual([8, true]);
  expect([levels.every((bits) => bits !== 0), 40 - refused.length, loads() < 20]).toEqual([true, 8, true]);
  bench.storage.release(A, "");
  bench.evictAll();
  const before = loads();
  const late = await lease(bench, names.slice(30), { loads: true, ms: 0 });
  expect([late.refused.length, loads() - before]).toEqual([10, 0]);
});

test("a lookup that loads leases nothing of what fails to load or does not fit into L1", async () => {
  const bench = storageBench();
  await put(bench.storage, "large", { body: pattern(5000), durability: "l2" });
  await put(bench.storage, "broken", { body: "x", durability: "l2" });
  bench.evictAll();
  bench.tier(0).gate = (step, name) => {
    if (step === "load" && name === "broken") throw new Error("down");
  };
  expect(await lease(bench, ["large", "broken"], { loads: true })).toMatchObject({
    levels: new Uint32Array([2, 2]),
    refused: [],
  });
  expect(bench.l1.usage()).toMatchObject({ holds: 0, readLeases: 0, writeLeases: 0 });
});

test("leases end with the worker that gave them, and another worker can release those of a living one", async () => {
  const parts = clusterParts();
  const owner = ownerBench(parts, { workerId: 1 });
  const one = clusterBench(parts, owner, { workerId: 2 });
  const other = clusterBench(parts, owner, { workerId: 3 });
  await put(one.storage, "a", { body: "x" });
  await lease(one, ["a"]);
  await lease(other, ["a"], { holder: B });
  expect(other.storage.release(A, "")).toBe(1);
  await lease(one, ["a"]);
  expect(owner.l1.usage().holds).toBe(2);
  await one.die();
  expect(owner.l1.usage().holds).toBe(1);
  expect([other.storage.release(A, ""), other.storage.release(B, "")]).toEqual([0, 1]);
  expect(owner.l1.usage()).toMatchObject({ holds: 0, heldBytes: 0, readLeases: 0 });
});

test("what a lookup has leased is read from L1 until it is released, whatever happens, with a slow and a failing tier", async () => {
  const name = fc.constantFrom("a", "b", "c");
  const command = fc.oneof(
    fc.record({ kind: fc.constantFrom("put", "delete", "read", "lease", "load"), name }),
    fc.record({ kind: fc.constantFrom("release", "flood", "fail", "heal", "slow", "tick"), name: fc.constant("a") }),
  );
  await fc.assert(
    fc.asyncProperty(fc.array(command, { maxLength: 25 }), async (commands) => {
      const bench = storageBench({ tiers: 2 });
      const { storage, l1, time } = bench;
      /** The objects, and for each that is leased the end of its lease. */
      const objects = new Map<string, string>();
      const leased = new Map<string, number>();
      const mode = { fails: false, turns: 0 };
      bench.tier(0).gate = async (step) => {
        for (let turn = 0; turn < mode.turns; turn++) await new Promise((resolve) => setImmediate(resolve));
        if (mode.fails && (step === "lookup" || step === "load")) throw new Error("down");
      };
      for (const [index, { kind, name }] of commands.entries()) {
        if (kind === "put") {
          objects.set(name, String(index));
          leased.delete(name);
          await put(storage, name, { body: String(index), durability: "l2" });
        } else if (kind === "delete") {
          objects.delete(name);
          leased.delete(name);
          await storage.delete(key(name));
        } else if (kind === "lease" || kind === "load") {
          const { levels, refused } = await lease(bench, [name], { loads: kind === "load", ms: 3000 });
          expect(refused).toEqual([]);
          expect(levels[0] !== 0).toBe(objects.has(name));
          if (kind === "load" && objects.has(name)) expect((levels[0] ?? 0) & 1).toBe(1);
          if (((levels[0] ?? 0) & 1) === 1) leased.set(name, time.monotonicMs() + 3000);
        } else if (kind === "release") {
          leased.clear();
          storage.release(A, "");
        } else if (kind === "tick") {
          time.advance(1000);
          l1.tick();
          for (const [each, untilMs] of leased) if (untilMs <= time.monotonicMs()) leased.delete(each);
        } else if (kind === "flood") bench.evictAll();
        else if (kind === "read") {
          // A miss is an error while a tier fails.
          if (!mode.fails || objects.has(name)) expect(await getText(storage, name)).toBe(objects.get(name));
        } else Object.assign(mode, { fails: kind === "fail", turns: kind === "slow" ? 3 : 0 });
        for (const each of leased.keys()) expect([each, l1.has([key(each)])]).toEqual([each, [true]]);
      }
      storage.release(A, "");
      expect(l1.usage()).toMatchObject({ holds: 0, heldBytes: 0, readLeases: 0 });
    }),
    { numRuns: 60 },
  );
});
