import { expect, test } from "bun:test";
import { getText, key, put, type StorageBench, storageBench, tierText } from "../../support/storage_bench.ts";

/** The store queue of a bench has room for this many objects. */
const QUEUE_ENTRIES = 16;

/** A bench whose timers fire in a later turn of the event loop. */
function bench(options: { readonly tiers?: number; readonly ownTiers?: boolean } = {}): StorageBench {
  const made = storageBench(options);
  made.time.after = () => new Promise((resolve) => setImmediate(resolve));
  return made;
}

async function turns(count: number = 20): Promise<void> {
  for (let turn = 0; turn < count; turn += 1) await new Promise((resolve) => setImmediate(resolve));
}

const queued = async ({ storage }: StorageBench): Promise<number> => (await storage.status()).storeQueue.entries;

const attempts = ({ named }: StorageBench): number => named("l2.store.submitted").length;

/** The keys of acknowledged objects that no tier will get. */
const lost = ({ named }: StorageBench) => named("sm.write_back.failed").map((event) => event.key);

for (const ownTiers of [false, true]) {
  test(`an acknowledged object waits until its tier can be used (stores whole objects: ${ownTiers})`, async () => {
    const made = bench({ ownTiers });
    made.tier(0).trouble = "no connection";
    await put(made.storage, "a", { body: "first" });
    await turns();
    expect([await queued(made), tierText(made.tier(0), "a"), attempts(made)]).toEqual([1, undefined, 0]);
    made.tier(0).trouble = undefined;
    await turns();
    expect([await queued(made), tierText(made.tier(0), "a"), lost(made)]).toEqual([0, "first", []]);
    expect(made.storage.storeTotals).toEqual({ stored: 1, refused: 0 });
  });
}

test("a store that fails because its tier becomes unusable waits too, without further attempts", async () => {
  const made = bench();
  made.tier(0).gate = (step) => {
    if (step === "store") made.tier(0).trouble = "reset";
  };
  await put(made.storage, "a", { body: "first" });
  await turns();
  expect([await queued(made), attempts(made)]).toEqual([1, 1]);
  made.tier(0).gate = () => {};
  made.tier(0).trouble = undefined;
  await turns();
  expect([await queued(made), tierText(made.tier(0), "a")]).toEqual([0, "first"]);
});

test("an object is not stored any more when it was replaced or deleted while it waited", async () => {
  const made = bench();
  made.tier(0).trouble = "no connection";
  await put(made.storage, "a", { body: "first" });
  await put(made.storage, "a", { body: "second" });
  await put(made.storage, "b", { body: "deleted" });
  await turns();
  expect(await made.storage.delete(key("b"))).toBe(true);
  await turns();
  expect(await queued(made)).toBe(1);
  made.tier(0).trouble = undefined;
  await turns();
  expect([await queued(made), tierText(made.tier(0), "a"), tierText(made.tier(0), "b")]).toEqual([
    0,
    "second",
    undefined,
  ]);
  expect(made.named("l2.store.completed").map(({ outcome }) => outcome)).toEqual(["ok"]);
  expect(lost(made)).toEqual([]);
});

test("the oldest objects that wait are dropped, and counted, when new writes need their room", async () => {
  const made = bench();
  made.tier(0).trouble = "no connection";
  const names = Array.from({ length: QUEUE_ENTRIES + 3 }, (_, at) => `k${at}`);
  for (const name of names) await put(made.storage, name, { body: name });
  await turns();
  expect([lost(made), await queued(made)]).toEqual([names.slice(0, 3), QUEUE_ENTRIES]);
  // They are still in memory.
  expect(names.filter((name) => made.l1.peek(key(name)) === undefined)).toEqual([]);
  made.tier(0).trouble = undefined;
  await turns(40);
  expect(names.filter((name) => tierText(made.tier(0), name) === name)).toEqual(names.slice(3));
  expect(made.storage.storeTotals).toEqual({ stored: QUEUE_ENTRIES, refused: 3 });
});

test("an object waits for no tier when another one has taken it", async () => {
  const made = bench({ tiers: 2 });
  await put(made.storage, "a", { body: "old", durability: "l2" });
  made.tier(0).trouble = "no connection";
  await put(made.storage, "a", { body: "new" });
  await turns();
  expect([await queued(made), tierText(made.tier(1), "a"), lost(made)]).toEqual([0, "new", []]);
  // The copy that became outdated there is not read, and goes as soon as the tier can be used.
  await made.storage.clear({ tenant: undefined, tier: "l1" });
  expect(await getText(made.storage, "a")).toBe("new");
  made.tier(0).trouble = undefined;
  await put(made.storage, "b", { body: "other" });
  await turns();
  expect([tierText(made.tier(0), "a"), tierText(made.tier(0), "b")]).toEqual([undefined, "other"]);
});

test("a stop waits for no tier that cannot be used, and counts what it loses", async () => {
  const made = bench();
  made.tier(0).trouble = "no connection";
  await put(made.storage, "a", { body: "first" });
  await turns();
  await put(made.storage, "b", { body: "second" });
  await made.storage.drain();
  expect(lost(made)).toEqual(["a", "b"]);
  expect(made.storage.storeTotals).toEqual({ stored: 0, refused: 2 });
  // Three attempts for each.
  expect(made.named("l2.store.completed").map(({ outcome }) => outcome)).toEqual(Array(6).fill("failed"));
});
