import { expect, test } from "bun:test";
import type { EventMap } from "../../../src/events/catalogue.ts";
import { livesFamily, reuseFamily } from "../../../src/subscribers/metrics/families/l1.ts";
import { MetricsHarness } from "./harness.ts";

type Sampled = EventMap["l1.key.sampled"];

/** Something that happens at a second. */
type Step = readonly [number, Partial<Sampled> & Pick<Sampled, "action">];

async function play(harness: MetricsHarness, steps: readonly Step[]): Promise<void> {
  for (const [second, step] of steps) {
    harness.nowMs = second * 1000;
    harness.bus.publish("l1.key.sampled", {
      tenant: "",
      reason: "",
      keyHash: "256",
      atMs: String(second * 1000),
      ...step,
    });
  }
  await harness.bus.flush();
}

test("livesFamily measures lifetime, idleness and reuse when an object is read twice and evicted", async () => {
  const harness = new MetricsHarness([livesFamily]);
  await play(harness, [
    [100, { action: "written" }],
    [104, { action: "read" }],
    [120, { action: "read" }],
    [180, { action: "removed", reason: "pressure" }],
    [187, { action: "loaded" }],
    [190, { action: "removed", reason: "deleted" }],
    [191, { action: "written" }],
  ]);
  expect(await harness.series()).toEqual({
    lmcache_mp_l1_chunk_lifetime_seconds: { count: 1, sum: 80, buckets: { "300": 1 } },
    lmcache_mp_l1_chunk_idle_before_evict_seconds: { count: 1, sum: 60, buckets: { "60": 1 } },
    lmcache_mp_l1_chunk_reuse_gap_seconds: { count: 2, sum: 20, buckets: { "5": 1, "60": 1 } },
    lmcache_mp_l1_chunk_evict_reuse_gap_seconds: { count: 1, sum: 7, buckets: { "10": 1 } },
  });
});

test("livesFamily counts exactly 300 seconds when an evicted object does not come back, as the loop's ticks pass", async () => {
  const harness = new MetricsHarness([livesFamily]);
  await play(harness, [[100, { action: "written" }], [200, { action: "removed", reason: "watermark" }]]);
  const name = "lmcache_mp_l1_chunk_evict_reuse_gap_seconds";
  const tick = async (second: number) => {
    harness.nowMs = second * 1000;
    // Ticks are folded: two of them count the object once.
    const [event, fields] = ["l1.eviction.tick", { triggered: "false", keys: 0, bytes: 0 }] as const;
    await harness.publish([[event, fields], [event, fields]]);
    return (await harness.series())[name];
  };
  expect(await tick(499)).toBeUndefined();
  expect(await tick(500)).toEqual({ count: 1, sum: 300, buckets: { "300": 1 } });
  await play(harness, [[501, { action: "written" }]]);
  expect(await harness.series()).toMatchObject({
    lmcache_mp_l1_chunk_evict_reuse_gap_seconds: { count: 1, sum: 300, buckets: { "300": 1 } },
  });
});

test("livesFamily measures nothing when an event has lost its key", async () => {
  const harness = new MetricsHarness([livesFamily]);
  await play(harness, [[1, { action: "written" }], [9, { action: "removed", reason: "quota", keyHash: undefined }]]);
  expect(await harness.nonZero()).toEqual({});
});

test("reuseFamily measures seconds and objects between a tenant's uses of an object, whether it stayed in L1 or not", async () => {
  const harness = new MetricsHarness([reuseFamily]);
  await harness.publish([["sm.write.reserved", { tenant: "t", succeeded: 1, failed: 0 }]]);
  const use = async (keys: number) => {
    harness.bus.publish("sm.read.finished", { tenant: "t", keys, bytes: 0 });
    harness.bus.publish("sm.write.finished", { tenant: "t", outcome: "aborted", keys: 99, bytes: 0 });
    await harness.bus.flush();
  };
  await use(2);
  await play(harness, [[10, { tenant: "t", action: "written" }]]);
  await use(5);
  await play(harness, [
    [20, { tenant: "t", action: "removed", reason: "pressure" }],
    [60, { tenant: "t", action: "loaded" }],
    [61, { tenant: "t", action: "read" }],
  ]);
  await use(11);
  await play(harness, [[63, { tenant: "t", action: "read" }]]);
  expect(await harness.nonZero()).toEqual({
    'lmcache_mp_real_reuse_gap_seconds{cache_salt="t"}': { count: 3, sum: 53, buckets: { "1": 1, "5": 1, "60": 1 } },
    'lmcache_mp_real_reuse_gap_objects_chunks{cache_salt="t"}': { count: 3, sum: 16, buckets: { "1": 1, "16": 2 } },
  });
});
