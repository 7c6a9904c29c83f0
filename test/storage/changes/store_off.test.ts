import { expect, test } from "bun:test";
import fc from "fast-check";
import {
  type BenchOptions,
  getText,
  key,
  put,
  type StorageBench,
  storageBench,
  tierText,
} from "../../support/storage_bench.ts";

/** A body past the admission limit of L1. */
const LARGE = "large".padEnd(10_000, ".");

/** A bench of two tiers, of which the second takes no stores and has objects of an earlier time. */
async function bench(old: Readonly<Record<string, string>>, options: BenchOptions = {}): Promise<StorageBench> {
  const made = storageBench({ tiers: 2, storeOff: 1, ...options });
  made.time.after = () => new Promise((resolve) => setImmediate(resolve));
  for (const [name, body] of Object.entries(old)) await put(made.storage, name, { body, durability: "l2" });
  for (const [id, stored] of made.tier(0).objects) made.tier(1).objects.set(id, stored);
  made.tier(0).objects.clear();
  made.evictAll();
  return made;
}

async function turns(count: number = 20): Promise<void> {
  for (let turn = 0; turn < count; turn += 1) await new Promise((resolve) => setImmediate(resolve));
}

const copies = (made: StorageBench, name: string) => [tierText(made.tier(0), name), tierText(made.tier(1), name)];

for (const durability of ["l1", "l2"] as const) {
  for (const body of ["new", LARGE]) {
    test(`a write of ${body.length} bytes (${durability}) goes to the tier that stores, and removes the other's copy`, async () => {
      const made = await bench({ a: "old" });
      await put(made.storage, "a", { body, durability });
      await turns();
      expect(copies(made, "a")).toEqual([body, undefined]);
      expect(made.tier(1).calls).not.toContain("store");
    });
  }
}

test("a write goes to all tiers when none has store=off", async () => {
  const made = storageBench({ tiers: 2 });
  await put(made.storage, "a", { body: "new", durability: "l2" });
  expect(copies(made, "a")).toEqual(["new", "new"]);
});

test("a tier that takes no stores is asked to delete nothing when it has no copy", async () => {
  const made = await bench({});
  await put(made.storage, "a", { body: "new", durability: "l2" });
  await put(made.storage, "b", { body: "new" });
  await turns();
  expect([made.tier(1).calls.includes("lookup"), made.tier(1).calls.includes("delete")]).toEqual([true, false]);
});

test("a read fills L1 from a tier that takes no stores", async () => {
  const made = await bench({ a: "old" });
  expect([await getText(made.storage, "a"), made.l1.peek(key("a"))?.sizeBytes]).toEqual(["old", 3]);
  expect(copies(made, "a")).toEqual([undefined, "old"]);
});

test("DELETE and CLEAR go to a tier that takes no stores", async () => {
  const made = await bench({ a: "old", b: "old", c: "old" });
  expect([await made.storage.delete(key("a")), tierText(made.tier(1), "a")]).toEqual([true, undefined]);
  expect(await made.storage.clear({ tenant: undefined, tier: undefined })).toEqual({ l1: 0, t1: 0, t2: 2 });
  expect(made.tier(1).objects.size).toBe(0);
});

for (const durability of ["l1", "l2"] as const) {
  test(`a precondition counts an object in a tier that takes no stores (${durability})`, async () => {
    const made = await bench({ a: "old" });
    const creating = put(made.storage, "a", { body: "new", durability, precondition: { noneMatch: "*" } });
    await expect(creating).rejects.toThrow("precondition");
    await turns();
    expect(copies(made, "a")).toEqual([undefined, "old"]);
    await put(made.storage, "a", { body: "new", durability, precondition: { match: "*" } });
    await turns();
    expect(copies(made, "a")).toEqual(["new", undefined]);
  });
}

test("a copy that cannot be removed is not read, and is removed once its tier can be used again", async () => {
  const made = await bench({ a: "old" });
  made.tier(1).trouble = "no connection";
  await put(made.storage, "a", { body: "new" });
  await turns();
  expect(copies(made, "a")).toEqual(["new", "old"]);
  made.tier(0).objects.clear();
  made.evictAll();
  expect(await getText(made.storage, "a")).toBe(undefined);
  made.tier(1).trouble = undefined;
  await put(made.storage, "b", { body: "other" });
  await turns();
  expect(copies(made, "a")).toEqual([undefined, undefined]);
});

for (const body of ["new", LARGE]) {
  test(`a write of ${body.length} bytes that must be durable fails, and loses nothing, when the other copy cannot be removed`, async () => {
    const made = await bench({ a: "old" });
    made.tier(1).gate = (step) => {
      if (step === "delete") throw new Error("no connection");
    };
    await expect(put(made.storage, "a", { body, durability: "l2" })).rejects.toThrow("delete in tier: t2");
    expect(copies(made, "a")).toEqual([undefined, "old"]);
    expect(await getText(made.storage, "a")).toBe("old");
  });
}

test("an object waits for the tier that stores, whatever the other one can do", async () => {
  const made = await bench({ a: "old" });
  made.tier(0).trouble = "no connection";
  await put(made.storage, "a", { body: "new" });
  await turns();
  expect([(await made.storage.status()).storeQueue.entries, tierText(made.tier(0), "a")]).toEqual([1, undefined]);
  made.tier(0).trouble = undefined;
  await turns();
  expect(copies(made, "a")).toEqual(["new", undefined]);
  expect(made.named("sm.write_back.failed")).toEqual([]);
});

type Op =
  | { readonly kind: "put"; readonly name: string; readonly through: boolean; readonly large: boolean }
  | { readonly kind: "delete"; readonly name: string }
  | { readonly kind: "get"; readonly name: string }
  | { readonly kind: "lose"; readonly name: string }
  | { readonly kind: "evict" }
  | { readonly kind: "clear" }
  | { readonly kind: "trouble"; readonly tier: number; readonly isDown: boolean };

const name = fc.constantFrom("a", "b");
const op: fc.Arbitrary<Op> = fc.oneof(
  fc.record({ kind: fc.constant("put" as const), name, through: fc.boolean(), large: fc.boolean() }),
  fc.record({ kind: fc.constant("delete" as const), name }),
  fc.record({ kind: fc.constant("get" as const), name }),
  fc.record({ kind: fc.constant("get" as const), name }),
  fc.record({ kind: fc.constant("lose" as const), name }),
  fc.record({ kind: fc.constant("evict" as const) }),
  fc.record({ kind: fc.constant("evict" as const) }),
  fc.record({ kind: fc.constant("clear" as const) }),
  fc.record({ kind: fc.constant("trouble" as const), tier: fc.constantFrom(0, 1), isDown: fc.boolean() }),
);

for (const storeOff of [undefined, 0, 1]) {
  test(`no read is older than the last acknowledged change when the tier without stores is ${storeOff ?? "none"}`, async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(op, { maxLength: 30 }), async (ops) => {
        const made = storageBench({ tiers: 2, ...(storeOff === undefined ? {} : { storeOff }) });
        made.time.after = () => new Promise((resolve) => setImmediate(resolve));
        for (const each of ["a", "b"]) await put(made.storage, each, { body: `${each}0` });
        await turns(4);
        if (storeOff !== undefined) {
          for (const [id, stored] of made.tier(1 - storeOff).objects) made.tier(storeOff).objects.set(id, stored);
          made.tier(1 - storeOff).objects.clear();
        }
        made.evictAll();
        for (const tier of [0, 1]) {
          made.tier(tier).gate = (step) => {
            if (made.tier(tier).trouble !== undefined && step !== "store") throw new Error("no connection");
          };
        }
        // What a read may show besides a miss. A change that failed has made nothing visible.
        const model = new Map<string, string>([["a", "a0"], ["b", "b0"]]);
        for (const [at, each] of ops.entries()) {
          if (each.kind === "evict") {
            await turns(4);
            made.evictAll();
          } else if (each.kind === "trouble") made.tier(each.tier).trouble = each.isDown ? "no connection" : undefined;
          else if (each.kind === "lose") {
            for (const tier of [0, 1]) if (tier !== storeOff) made.tier(tier).objects.delete(`\0${each.name}`);
          } else if (each.kind === "clear") {
            const cleared = made.storage.clear({ tenant: undefined, tier: undefined });
            if (await cleared.then(() => true, () => false)) model.clear();
          } else if (each.kind === "delete") {
            if (await made.storage.delete(key(each.name)).then(() => true, () => false)) model.delete(each.name);
          } else if (each.kind === "put") {
            const value = `${each.name}${at + 1}`;
            const body = value.padEnd(each.large ? 10_000 : 10, ".");
            const putting = put(made.storage, each.name, { body, durability: each.through ? "l2" : "l1" });
            if (await putting.then(() => true, () => false)) model.set(each.name, value);
          } else {
            const text = await getText(made.storage, each.name).catch(() => undefined);
            const value = text?.split(".")[0];
            if (value !== undefined) expect(value).toBe(model.get(each.name) ?? "a miss");
          }
          if (storeOff !== undefined) {
            expect(made.tier(storeOff).calls.filter((call) => call === "store").length).toBe(0);
          }
        }
      }),
      { numRuns: 80 },
    );
  });
}
