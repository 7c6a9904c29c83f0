import { expect, test } from "bun:test";
import type { ObjectRead } from "../../../src/storage/storage.ts";
import { key, pattern, put, storageBench } from "../../support/storage_bench.ts";

/** Larger than the admission limit of a bench, so that it is read past L1. */
const SIZE_BYTES = 5000;

async function bytesOf(read: ObjectRead | undefined, start: number, end: number): Promise<Uint8Array> {
  const bytes: number[] = [];
  for await (const chunk of read?.chunks(start, end) ?? []) bytes.push(...chunk);
  return Uint8Array.from(bytes);
}

for (const tiers of [1, 2]) {
  for (const change of ["replaced", "deleted", "cleared"] as const) {
    test(`a range has the bytes of the answer's object when that was ${change} meanwhile, in ${tiers} tiers`, async () => {
      const { storage, named } = storageBench({ tiers });
      const old = pattern(SIZE_BYTES, 1);
      await put(storage, "a", { body: old, durability: "l2" });
      const read = await storage.get(key("a"));
      if (change === "replaced") await put(storage, "a", { body: pattern(SIZE_BYTES, 2), durability: "l2" });
      else if (change === "deleted") await storage.delete(key("a"));
      else await storage.clear({ tenant: "", tier: undefined });
      expect(await bytesOf(read, 4000, 4100)).toEqual(old.subarray(4000, 4100));
      read?.release("finished");
      const loads = named("l2.load.completed");
      expect(loads.map(({ outcome, bytes }) => ({ outcome, bytes }))).toEqual([{ outcome: "ok", bytes: 100 }]);
    });
  }
}

test("a range goes on with the open load when its own breaks off half-way", async () => {
  const bench = storageBench();
  const bytes = pattern(SIZE_BYTES);
  await put(bench.storage, "a", { body: bytes, durability: "l2" });
  const read = await bench.storage.get(key("a"));
  let chunks = 0;
  bench.tier(0).gate = (step) => {
    if (step === "chunk" && (chunks += 1) === 3) throw new Error("reset");
  };
  expect(await bytesOf(read, 1001, 4003)).toEqual(bytes.subarray(1001, 4003));
  read?.release("finished");
});

test("a range fails when its load and the open one do", async () => {
  const bench = storageBench();
  await put(bench.storage, "a", { body: pattern(SIZE_BYTES), durability: "l2" });
  const read = await bench.storage.get(key("a"));
  bench.tier(0).gate = (step) => {
    if (step === "load" || step === "chunk") throw new Error("gone");
  };
  const failure = await bytesOf(read, 10, 20).catch((error: unknown) => error);
  expect(failure).toMatchObject({ code: "tier_failed" });
  read?.release("aborted");
});
