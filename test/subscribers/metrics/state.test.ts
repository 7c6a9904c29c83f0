import { expect, test } from "bun:test";
import { StateMetrics } from "../../../src/subscribers/metrics/state.ts";
import { MetricsHarness } from "./harness.ts";

const build = { version: "1.2.3", runtime: "bun 1", startMs: 5500 };
const storeQueue = { entries: 2, bytes: 300, oldestAgeSeconds: 1.5 };

test("StateMetrics shows the state at the time of the collection", async () => {
  const harness = new MetricsHarness();
  let usedBytes = 25;
  const state = {
    l1: () => ({ objects: 4, usedBytes, capacityBytes: 100, stagingBytes: 5, oldestAgeSeconds: 9, repairs: 2 }),
    storage: () =>
      Promise.resolve({
        l2: [{ tier: "fs", objects: 7, usedBytes: 70, limitBytes: 0, oldestAgeSeconds: 60 }],
        storeQueue,
      }),
    activeRequests: () => 3,
    workers: () => ["ready", "ready", "gone"] as const,
    storageThreadStuckSeconds: () => 6.25,
  };
  harness.bus.subscribe(new StateMetrics(harness.instruments, { state, build }));
  usedBytes = 50;
  expect(await harness.series()).toEqual({
    'vitrine_objects{tier="l1"}': 4,
    'vitrine_objects{tier="fs"}': 7,
    'vitrine_used_bytes{tier="l1"}': 50,
    'vitrine_used_bytes{tier="fs"}': 70,
    'vitrine_oldest_entry_age_seconds{tier="l1"}': 9,
    'vitrine_oldest_entry_age_seconds{tier="fs"}': 60,
    'vitrine_limit_bytes{tier="l1"}': 100,
    'vitrine_limit_bytes{tier="fs"}': 0,
    lmcache_mp_l1_memory_usage_bytes: 50,
    lmcache_mp_l1_usage_ratio: 0.5,
    lmcache_mp_l1_staging_bytes: 5,
    'lmcache_mp_l2_usage_bytes{l2_name="fs"}': 70,
    vitrine_store_queue_entries: 2,
    vitrine_store_queue_bytes: 300,
    vitrine_store_queue_oldest_age_seconds: 1.5,
    vitrine_l1_repairs_total: 2,
    'vitrine_workers{state="starting"}': 0,
    'vitrine_workers{state="ready"}': 2,
    'vitrine_workers{state="stopping"}': 0,
    'vitrine_workers{state="gone"}': 1,
    'vitrine_workers{state="stuck"}': 0,
    vitrine_storage_thread_stuck_seconds: 6.25,
    http_server_active_requests: 3,
    'vitrine_build_info{version="1.2.3",runtime="bun 1"}': 1,
    vitrine_start_time_seconds: 5.5,
  });
});

test("StateMetrics leaves out a tier that has no numbers, and gives ratio 0 for an arena of 0 bytes", async () => {
  const harness = new MetricsHarness();
  const state = {
    l1: () => ({ objects: 0, usedBytes: 0, capacityBytes: 0, stagingBytes: 0, repairs: 0 }),
    storage: () => Promise.resolve({ l2: [{ tier: "fs", error: "down" }], storeQueue }),
    activeRequests: () => 0,
    workers: () => [],
    storageThreadStuckSeconds: () => 0,
  };
  harness.bus.subscribe(new StateMetrics(harness.instruments, { state, build }));
  const series = await harness.series();
  expect(Object.keys(series).filter((name) => name.includes('"fs"'))).toEqual([]);
  expect(series["lmcache_mp_l1_usage_ratio"]).toBe(0);
});
