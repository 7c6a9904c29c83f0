import { expect, test } from "bun:test";
import { systemClock } from "../../src/core/clock.ts";
import { allocateSharedKeys } from "../../src/storage/shared/memory.ts";
import { SharedKeys } from "../../src/storage/shared/shared_keys.ts";
import { Tier } from "../../src/storage/tiers/tier.ts";
import { MapAdapter } from "../support/map_adapter.ts";
import { getText, key, put, storageBench, tierText } from "../support/storage_bench.ts";

test("Tier.forget asks a tier that cannot be used only when half of the marks for outdated copies are taken", async () => {
  const adapter = new MapAdapter("map");
  const shared = new SharedKeys(allocateSharedKeys({ hashSeed: 1, maxStaleKeys: 8 }, "private"), 1);
  const tier = new Tier(adapter, { publish() {}, clock: systemClock, shared, index: 0, l1: { assertAlive() {} } });
  adapter.trouble = "no answer";
  adapter.gate = (step) => {
    if (step === "delete") throw new Error("gone");
  };
  const asked: number[] = [];
  for (const name of ["a", "b", "c", "d", "e"]) {
    await tier.forget(key(name));
    asked.push(adapter.calls.length);
  }
  expect([asked, tier.stale.has(key("a")), tier.stale.has(key("e"))]).toEqual([[0, 0, 0, 0, 1], true, true]);
  adapter.trouble = undefined;
  adapter.gate = () => {};
  await tier.forget(key("a"));
  expect([adapter.calls.length, tier.stale.has(key("a"))]).toEqual([2, false]);
});

for (const durability of ["l1", "l2"] as const) {
  test(`an upload past L1 leaves out a tier that cannot be used, unless all must have it (${durability})`, async () => {
    const made = storageBench({ tiers: 2 });
    const [old, large] = ["a", "b"].map((letter) => letter.repeat(10_000));
    await put(made.storage, "x", { body: old ?? "" });
    made.tier(0).trouble = "no answer";
    const before = made.tier(0).calls.length;
    const writing = put(made.storage, "x", { body: large ?? "", durability });
    if (durability === "l2") {
      await expect(writing).rejects.toThrow();
      expect(made.tier(0).calls.slice(before)).toContain("store");
      return;
    }
    await writing;
    expect(made.tier(0).calls.slice(before)).not.toContain("store");
    expect(tierText(made.tier(1), "x")).toBe(large);
    // The older copy is not read.
    expect(await getText(made.storage, "x")).toBe(large);
  });
}

test("an upload past L1 asks tiers that cannot be used when there are no others", async () => {
  const made = storageBench();
  made.tier(0).trouble = "no answer";
  await expect(put(made.storage, "x", { body: "a".repeat(10_000) })).rejects.toThrow("no answer");
});
