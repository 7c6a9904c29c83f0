import { expect, test } from "bun:test";
import { MemoryAdapter } from "../../../src/l2/memory.ts";
import { tapLoads } from "../../../src/l2/wrap/tap.ts";
import { adapterConformance } from "../conformance.ts";
import { key, newBench, pattern, readAll, sourceOf } from "../support.ts";

adapterConformance({
  name: "tap over memory",
  persistent: false,
  open: (_folder, options) => Promise.resolve(tapLoads(new MemoryAdapter({ ...options, name: "memory" }), () => {})),
});

test("tapLoads tells the bytes of every chunk when an object is loaded", async () => {
  const told: number[] = [];
  const adapter = tapLoads(
    new MemoryAdapter({ ...newBench(), name: "memory", limitBytes: 0 }),
    (bytes) => told.push(bytes),
  );
  await adapter.store(key("a"), sourceOf(pattern(3_000_000)));
  expect(told).toEqual([]);
  const load = await adapter.load(key("a"));
  if (load === undefined) throw new Error("nothing loaded");
  await readAll(load);
  expect(told.reduce((sum, bytes) => sum + bytes, 0)).toBe(3_000_000);
});
