import { expect, test } from "bun:test";
import type { EvictionPolicyName } from "../../../src/l1/eviction/mod.ts";
import { planArena } from "../../../src/l1/arena/layout.ts";
import { makeL1, MIB } from "../support.ts";
import { turnOver } from "../turn_over.ts";

test("objects of 1 KiB to 32 MiB use nine tenths of the arena after ten turnovers", () => {
  for (const policy of ["s3-fifo", "lru"] as const satisfies readonly EvictionPolicyName[]) {
    const { l1 } = makeL1({ sizeBytes: 256 * MIB, maxObjects: 65_536 }, { policy, admissionLimitBytes: 32 * MIB });
    const { meanEfficiency, objects } = turnOver(l1, { turnovers: 10, minBytes: 1024, maxBytes: 32 * MIB });
    expect(objects).toBeGreaterThan(10);
    expect(meanEfficiency).toBeGreaterThan(0.9);
  }
});

test("planArena takes at most 200 bytes of control memory for one more object", () => {
  for (const maxObjects of [1000, 1024, 1025, 65_536, 100_000, 2 ** 20 + 1]) {
    const size = (objects: number) => 4 * planArena({ sizeBytes: 2 ** 30, maxObjects: objects, hashSeed: 0 }).words;
    expect((size(maxObjects) - size(0)) / maxObjects).toBeLessThanOrEqual(200.6);
  }
});
