import { expect, test } from "bun:test";
import { L2ThroughputMetrics } from "../../../../src/subscribers/metrics/l2/l2_throughput.ts";
import { MetricsHarness, type Published } from "../harness.ts";

const OK = { tier: "fs", tenant: "", keys: 1, outcome: "ok" } as const;
const events: readonly Published[] = [
  ["l2.store.completed", { ...OK, bytes: 1e9, seconds: 0.5 }],
  ["l2.store.completed", { ...OK, bytes: 4e9, seconds: 0.5 }],
  ["l2.store.completed", { ...OK, outcome: "failed", bytes: 0, seconds: 0.5 }],
  ["l2.load.completed", { ...OK, bytes: 25e6, requestedBytes: 25e6, seconds: 0.1 }],
  ["l2.load.completed", { ...OK, outcome: "aborted", bytes: 1e9, requestedBytes: 2e9, seconds: 0.1 }],
  ["l2.load.completed", { ...OK, bytes: 10, requestedBytes: 10, seconds: 0 }],
];

test("L2ThroughputMetrics measures each store and load that moved bytes in some time", async () => {
  const harness = new MetricsHarness();
  await harness.publish(new L2ThroughputMetrics(harness.instruments), events);
  expect(await harness.series()).toEqual({
    'lmcache_mp_l2_store_throughput_GB_per_second{l2_name="fs"}': { count: 2, sum: 10, buckets: { "2.5": 1, "10": 1 } },
    'lmcache_mp_l2_load_throughput_GB_per_second{l2_name="fs"}': { count: 1, sum: 0.25, buckets: { "0.25": 1 } },
  });
});
