import { expect, test } from "bun:test";
import { SmMetrics } from "../../../src/subscribers/metrics/sm.ts";
import { MetricsHarness, type Published } from "./harness.ts";

const events: readonly Published[] = [
  ["sm.read.prefetched", { tenant: "", succeeded: 1, failed: 0 }],
  ["sm.read.prefetched", { tenant: "", succeeded: 3, failed: 4 }],
  ["sm.write.reserved", { tenant: "", succeeded: 1, failed: 0 }],
  ["sm.write.reserved", { tenant: "", succeeded: 0, failed: 1 }],
  ["sm.write.reserved", { tenant: "a", succeeded: 5, failed: 1 }],
];

for (const how of ["folded", "single"] as const) {
  test(`SmMetrics counts requests and keys when events come ${how}`, async () => {
    const harness = new MetricsHarness();
    await harness.publish(new SmMetrics(harness.instruments), events, how);
    expect(await harness.series()).toEqual({
      lmcache_mp_sm_read_requests_total: 2,
      lmcache_mp_sm_read_succeed_keys_total: 4,
      lmcache_mp_sm_read_failed_keys_total: 4,
      lmcache_mp_sm_write_requests_total: 3,
      lmcache_mp_sm_write_succeed_keys_total: 6,
      lmcache_mp_sm_write_failed_keys_total: 2,
    });
  });
}
