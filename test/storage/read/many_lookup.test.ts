import { expect, test } from "bun:test";
import * as fc from "fast-check";
import { keyId } from "../../../src/core/object.ts";
import type { ManyLookup } from "../../../src/storage/storage.ts";
import { key, pattern, put, storageBench } from "../../support/storage_bench.ts";

type Bench = ReturnType<typeof storageBench>;

/** The levels of each key as text, the prefixes and the tiers that failed. */
async function lookUp({ storage }: Pick<Bench, "storage">, names: readonly string[], options?: ManyLookup) {
  const { levels, prefixes, failed } = await storage.lookup(names.map((name) => key(name)), options);
  const held = Array.from(
    levels,
    (bits) => storage.tiers.filter((_tier, level) => (bits & 1 << level) !== 0).join("+"),
  );
  return { held, prefixes, failed: [...failed.keys()] };
}

/** Puts objects into all levels, then drops each from those that are not its own. */
async function place(bench: Bench, places: readonly (readonly string[])[]): Promise<void> {
  const { storage, l1 } = bench;
  for (const [i, levels] of places.entries()) {
    await put(storage, String(i), { body: "x", durability: "l2" });
    if (!levels.includes("l1")) l1.delete([key(String(i))]);
    for (const [index, name] of storage.tiers.slice(1).entries()) {
      if (!levels.includes(name)) bench.tier(index).objects.delete(keyId(key(String(i))));
    }
  }
}

test("StorageManager.lookup asks each tier about what no level before it has, or about all keys", async () => {
  const bench = storageBench({ tiers: 2 });
  for (const name of ["all", "low"]) await put(bench.storage, name, { body: "x", durability: "l2" });
  bench.evictAll();
  await put(bench.storage, "fresh", { body: "x", durability: "l2" });
  bench.tier(0).objects.delete(keyId(key("low")));
  const asked = () => [0, 1].map((index) => bench.tier(index).calls.filter((step) => step === "lookup").length);
  const before = asked();
  const names = ["fresh", "all", "low", "none", "fresh"];
  expect(await lookUp(bench, names)).toEqual({ held: ["l1", "t1", "t2", "", "l1"], prefixes: [1, 2, 3], failed: [] });
  expect(asked().map((count, index) => count - (before[index] ?? 0))).toEqual([3, 2]);
  expect(await lookUp(bench, names, { allTiers: true })).toEqual({
    held: ["l1+t1+t2", "t1+t2", "t2", "", "l1+t1+t2"],
    prefixes: [1, 2, 3],
    failed: [],
  });
});

test("StorageManager.lookup uses, loads and leases nothing, and is no lookup of an object", async () => {
  const bench = storageBench();
  await put(bench.storage, "a", { body: "x", durability: "l2" });
  await put(bench.storage, "b", { body: "x", durability: "l2" });
  bench.evictAll();
  const objects = bench.l1.usage().objects;
  await lookUp(bench, ["a", "b", "none"]);
  expect(bench.l1.usage()).toMatchObject({ objects, readLeases: 0 });
  expect([bench.named("lookup.finished"), bench.named("l1.read.reserved")]).toEqual([[], []]);
  expect(bench.tier(0).calls.includes("load")).toBe(false);
});

test("StorageManager.lookup does not protect an object from eviction", async () => {
  const bench = storageBench({ tiers: 0, l1Bytes: 16_384 });
  await put(bench.storage, "read", { body: pattern(2048) });
  await put(bench.storage, "asked", { body: pattern(2048) });
  (await bench.storage.get(key("read")))?.release("finished");
  for (let i = 0; i < 20; i++) await lookUp(bench, ["asked"]);
  const held = async () => (await lookUp(bench, ["asked", "read"])).held;
  for (let i = 0; (await held()).every((level) => level === "l1"); i++) {
    await put(bench.storage, `more${i}`, { body: pattern(2048) });
  }
  expect(await held()).toEqual(["", "l1"]);
});

test("StorageManager.lookup publishes what it found, in keys and in tokens of the prefix", async () => {
  const bench = storageBench();
  await put(bench.storage, "low", { body: "x", durability: "l2" });
  bench.evictAll();
  await put(bench.storage, "a", { body: "x", durability: "l2" });
  await lookUp(bench, ["a", "low", "none", "a", "low"], { tokensPerKey: 256 });
  await lookUp(bench, ["none"]);
  const none = { l1Keys: 0, l2Keys: 0, missingKeys: 0, unknownKeys: 0, l1Tokens: 0, l2Tokens: 0 };
  expect(bench.named("sm.keys.looked_up")).toMatchObject([
    { ...none, tenant: "", l1Keys: 2, l2Keys: 2, missingKeys: 1, tokens: 1280, l1Tokens: 256, l2Tokens: 256 },
    { ...none, tenant: "", missingKeys: 1, tokens: 1 },
  ]);
});

test("StorageManager.lookup stops asking a tier that fails, names it, and goes on with the others", async () => {
  const bench = storageBench({ tiers: 2 });
  await place(bench, Array.from({ length: 1000 }, () => ["t2"]));
  bench.tier(0).calls.length = 0;
  bench.tier(0).gate = (step) => {
    if (step === "lookup") throw new Error("down");
  };
  const names = Array.from({ length: 1000 }, (_, i) => String(i));
  const { held, prefixes, failed } = await lookUp(bench, [...names, "none"]);
  expect([new Set(held.slice(0, 1000)), held[1000], prefixes, failed]).toEqual([
    new Set(["t2"]),
    "",
    [0, 0, 1000],
    ["t1"],
  ]);
  expect(bench.tier(0).calls.length).toBeLessThan(300);
  expect(bench.named("sm.keys.looked_up")).toMatchObject([{ l2Keys: 1000, missingKeys: 0, unknownKeys: 1 }]);
});

test("StorageManager.lookup finds what is being loaded when its tier fails meanwhile", async () => {
  const bench = storageBench();
  await put(bench.storage, "a", { body: "x", durability: "l2" });
  bench.evictAll();
  const { promise, resolve } = Promise.withResolvers<void>();
  bench.tier(0).gate = (step) => step === "chunk" ? promise : undefined;
  const reading = bench.storage.get(key("a"));
  await new Promise((done) => setImmediate(done));
  bench.tier(0).gate = (step) => {
    if (step === "lookup") throw new Error("down");
  };
  expect(await lookUp(bench, ["a", "none"])).toEqual({ held: ["t1", ""], prefixes: [0, 1], failed: ["t1"] });
  resolve();
  (await reading)?.release("aborted");
});

test("StorageManager.lookup does not take the tiers' older copy for an object that is not stored yet", async () => {
  const bench = storageBench();
  await put(bench.storage, "a", { body: "old", durability: "l2" });
  const { promise, resolve } = Promise.withResolvers<void>();
  bench.tier(0).gate = (step) => step === "store" ? promise : undefined;
  await put(bench.storage, "a", { body: "new", ttlSeconds: 1 });
  expect((await lookUp(bench, ["a"], { allTiers: true })).held).toEqual(["l1"]);
  bench.time.advance(1000);
  expect((await lookUp(bench, ["a"])).held).toEqual([""]);
  resolve();
});

test("StorageManager.lookup gives each key's levels and the prefixes, whatever is where, when tiers fail too", async () => {
  const levels = fc.subarray(["l1", "t1", "t2"]);
  await fc.assert(
    fc.asyncProperty(
      fc.record({
        places: fc.array(levels, { minLength: 1, maxLength: 6 }),
        broken: fc.subarray(["t1", "t2"]),
        allTiers: fc.boolean(),
      }),
      async ({ places, broken, allTiers }) => {
        const bench = storageBench({ tiers: 2 });
        await place(bench, places);
        for (const index of [0, 1]) {
          bench.tier(index).gate = (step) => {
            if (step === "lookup" && broken.includes(`t${index + 1}`)) throw new Error("down");
          };
        }
        const { held, prefixes } = await lookUp(bench, places.map((_levels, i) => String(i)), { allTiers });
        const wanted = places.map((place) => {
          const seen = place.filter((level) => !broken.includes(level));
          return allTiers ? seen : seen.slice(0, 1);
        });
        expect(held).toEqual(wanted.map((each) => each.join("+")));
        const prefixOf = (upTo: readonly string[]) => {
          const end = wanted.findIndex((each) => !each.some((level) => upTo.includes(level)));
          return end === -1 ? wanted.length : end;
        };
        expect(prefixes).toEqual([["l1"], ["l1", "t1"], ["l1", "t1", "t2"]].map(prefixOf));
      },
    ),
    { numRuns: 60 },
  );
});

test("StorageManager.lookup finds what is there all the time, while it is changed and evicted", async () => {
  const step = fc.constantFrom("put", "evict", "store", "turn");
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 20 }), async (steps) => {
      const bench = storageBench();
      await put(bench.storage, "a", { body: "0", durability: "l2" });
      bench.evictAll();
      const looking: Promise<unknown>[] = [];
      for (const each of steps) {
        looking.push(lookUp(bench, ["a"]));
        if (each === "put") await put(bench.storage, "a", { body: "1" });
        else if (each === "store") await put(bench.storage, "a", { body: "2", durability: "l2" });
        else if (each === "evict") bench.evictAll();
        else await new Promise((resolve) => setImmediate(resolve));
      }
      for (const answer of await Promise.all(looking)) expect(answer).not.toMatchObject({ held: [""] });
    }),
    { numRuns: 40 },
  );
});
