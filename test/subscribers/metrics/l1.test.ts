import { expect, test } from "bun:test";
import { L1Metrics } from "../../../src/subscribers/metrics/l1.ts";
import { MetricsHarness, type Published } from "./harness.ts";

const SOME = { tenant: "t", keys: 2, bytes: 100 } as const;
const events: readonly Published[] = [
  ["l1.read.reserved", SOME],
  ["l1.read.finished", SOME],
  ["l1.read.finished", { ...SOME, tenant: "other", keys: 3 }],
  ["l1.write.reserved", SOME],
  ["l1.write.finished", SOME],
  ["l1.write_finished_and_read_reserved", { ...SOME, keys: 5 }],
  ["l1.removed", { ...SOME, reason: "watermark" }],
  ["l1.removed", { ...SOME, reason: "watermark", keys: 1, bytes: 11 }],
  ["l1.removed", { ...SOME, reason: "replaced", keys: 1, bytes: 7 }],
  ["l1.lease.expired", { kind: "write", keys: 4 }],
  ["l1.allocation.failed", { during: "l2_prefetch", keys: 6, bytes: 1 }],
  ["l1.read.failed", { during: "l2_store", reason: "not_found", keys: 7 }],
  ["l1.eviction.tick", { triggered: "true", keys: 9, bytes: 9 }],
  ["l1.eviction.tick", { triggered: "false", keys: 0, bytes: 0 }],
  ["l1.eviction.tick", { triggered: "false", keys: 0, bytes: 0 }],
];
const expected = {
  lmcache_mp_l1_read_keys_total: 5,
  'lmcache_mp_l1_read_chunks_total{cache_salt="_other"}': 5,
  lmcache_mp_l1_write_keys_total: 7,
  'lmcache_mp_l1_write_chunks_total{cache_salt="_other"}': 7,
  lmcache_mp_l1_evicted_keys_total: 4,
  'lmcache_mp_l1_evicted_chunks_total{cache_salt="_other"}': 4,
  'vitrine_l1_removed_objects_total{reason="watermark"}': 3,
  'vitrine_l1_removed_objects_total{reason="replaced"}': 1,
  'vitrine_l1_removed_bytes_total{reason="watermark"}': 111,
  'vitrine_l1_removed_bytes_total{reason="replaced"}': 7,
  'vitrine_l1_lease_expired_total{kind="write"}': 4,
  'lmcache_mp_l1_allocation_failure_chunks_total{during="l2_prefetch"}': 6,
  'lmcache_mp_l1_read_failure_chunks_total{during="l2_store",reason="not_found"}': 7,
  lmcache_mp_l1_eviction_loop_ticks_total: 3,
  lmcache_mp_l1_eviction_loop_triggered_total: 1,
};

for (const how of ["folded", "single"] as const) {
  test(`L1Metrics counts every event exactly when they come ${how}`, async () => {
    const harness = new MetricsHarness();
    await harness.publish(new L1Metrics(harness.instruments), events, how);
    expect(await harness.nonZero()).toEqual(expected);
  });
}
