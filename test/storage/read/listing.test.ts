import { expect, test } from "bun:test";
import fc from "fast-check";
import { compareKeys, etagOf } from "../../../src/core/object.ts";
import { Gate } from "../../support/gate.ts";
import { getText, key, put, storageBench } from "../../support/storage_bench.ts";

const all = { tenant: "", prefix: "", limit: 100, after: "", tier: undefined };

test("StorageManager.list gives each key once and in order when pages cross levels", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.uniqueArray(fc.string({ minLength: 1, maxLength: 3, unit: "binary" }), { maxLength: 12 }),
      fc.integer({ min: 1, max: 5 }),
      fc.infiniteStream(fc.constantFrom("l1", "l2", "both")),
      async (names, limit, places) => {
        const bench = storageBench({ tiers: 2 });
        for (const name of names) {
          const place = places.next().value;
          await put(bench.storage, name, { body: name, durability: "l2" });
          if (place === "l2") bench.l1.delete([key(name)]);
          if (place === "l1") { for (const index of [0, 1]) await bench.tier(index).delete(key(name)); }
        }
        const listed: string[] = [];
        for (let more = true; more;) {
          const page = await bench.storage.list({ ...all, limit, after: listed.at(-1) ?? "" });
          expect(page.entries.length <= limit).toBe(true);
          listed.push(...page.entries.map((entry) => entry.key));
          more = page.more;
        }
        expect(listed).toEqual(names.toSorted(compareKeys));
      },
    ),
    { numRuns: 30 },
  );
});

test("StorageManager.list shows the newest object when the tier still holds an older one", async () => {
  const bench = storageBench();
  await put(bench.storage, "a", { body: "old", durability: "l2" });
  const gate = new Gate();
  bench.tier(0).gate = (step) => step === "store" ? gate.wait() : undefined;
  await put(bench.storage, "a", { body: "newer" });
  const { entries } = await bench.storage.list(all);
  expect(entries.map(({ key, meta }) => [key, meta.sizeBytes])).toEqual([["a", 5]]);
  gate.open();
  await bench.storage.drain();
});

test("StorageManager.clear removes everything, queued and loading objects too", async () => {
  const bench = storageBench();
  await put(bench.storage, "a", { body: "a".repeat(100), durability: "l2" });
  await bench.storage.clear({ tenant: undefined, tier: "l1" });
  const gate = new Gate();
  let chunks = 0;
  bench.tier(0).gate = (step) => step === "chunk" && (chunks += 1) === 3 ? gate.wait() : undefined;
  const read = await bench.storage.get(key("a"));
  await gate.reached;
  await put(bench.storage, "b", { body: "b" });
  await bench.storage.clear({ tenant: undefined, tier: undefined });
  gate.open();
  read?.release("aborted");
  while ((await bench.storage.status()).loadsInFlight > 0) await Promise.resolve();
  expect([await getText(bench.storage, "a"), await getText(bench.storage, "b")]).toEqual([undefined, undefined]);
  expect((await bench.storage.list(all)).entries).toEqual([]);
});

test("StorageManager.clear of l1 loses nothing when objects wait for their store", async () => {
  const bench = storageBench();
  await put(bench.storage, "a", { body: "hello" });
  expect(await bench.storage.clear({ tenant: undefined, tier: "l1" })).toEqual({ l1: 1 });
  expect(bench.l1.usage().objects).toBe(0);
  expect(await getText(bench.storage, "a")).toBe("hello");
});

test("StorageManager.clear is before or after a write that comes between two of its steps", async () => {
  const bench = storageBench({ l1Bytes: 1_048_576, maxObjects: 2048 });
  for (let n = 0; n < 600; n += 1) await put(bench.storage, `${n}`, { body: "x" });
  await put(bench.storage, "a", { body: "old" });
  // The new object's row is one that is cleared in the first step, the old one's in the second.
  await bench.storage.delete(key("0"));
  const gate = new Gate();
  bench.time.turn = () => gate.wait();
  const clearing = bench.storage.clear({ tenant: undefined, tier: undefined });
  await gate.reached;
  const writing = put(bench.storage, "a", { body: "new" });
  for (let turn = 0; turn < 100; turn += 1) await Promise.resolve();
  gate.open();
  expect((await clearing)["l1"]).toBe(600);
  expect((await writing).replaced).toBe(false);
  expect(await getText(bench.storage, "a")).toBe("new");
});

test("StorageManager.delete is refused when the object changes while the tiers delete", async () => {
  const bench = storageBench();
  const { meta } = await put(bench.storage, "a", { body: "old", durability: "l2" });
  const gate = new Gate();
  bench.tier(0).gate = (step) => step === "delete" ? gate.wait() : undefined;
  const deleting = bench.storage.delete(key("a"), { match: [etagOf(meta)] });
  await gate.reached;
  await put(bench.storage, "a", { body: "new" });
  gate.open();
  await expect(deleting).rejects.toThrow("precondition");
  await bench.storage.drain();
  expect(await getText(bench.storage, "a")).toBe("new");
  expect(bench.tier(0).objects.size).toBe(1);
});

test("StorageManager.status reports a tier that fails when it is asked for its usage", async () => {
  const bench = storageBench({ tiers: 2 });
  bench.tier(0).gate = () => {
    throw new Error("disk gone");
  };
  const { l2 } = await bench.storage.status();
  expect(l2.map(({ tier, error, objects }) => [tier, error, objects])).toEqual([
    ["t1", "disk gone", undefined],
    ["t2", undefined, 0],
  ]);
});

test("StorageManager.status goes without a tier that does not say its usage within 750 ms", async () => {
  const bench = storageBench();
  const gate = new Gate();
  bench.tier(0).gate = (step) => step === "usage" ? gate.wait() : undefined;
  const asking = bench.storage.status();
  await gate.reached;
  bench.time.advance(750);
  expect((await asking).l2).toEqual([{ tier: "t1", error: "measure tier: no answer within 750 ms" }]);
  gate.open();
});
