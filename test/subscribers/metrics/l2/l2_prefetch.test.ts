import { expect, test } from "bun:test";
import { L2PrefetchMetrics } from "../../../../src/subscribers/metrics/l2/l2_prefetch.ts";
import { MetricsHarness, type Published } from "../harness.ts";

const FS = { tier: "fs", tenant: "t", keys: 1 } as const;
const S3 = { ...FS, tier: "s3" } as const;
const DONE = { ...FS, seconds: 1 } as const;
const events: readonly Published[] = [
  ["l2.lookup.completed", { ...DONE, outcome: "miss" }],
  ["l2.lookup.completed", { ...DONE, tier: "s3", outcome: "hit" }],
  ["l2.lookup.completed", { ...DONE, tenant: "", outcome: "hit" }],
  ["l2.load.submitted", { ...FS, bytes: 100 }],
  ["l2.load.submitted", { ...FS, bytes: 30 }],
  ["l2.load.submitted", { ...S3, bytes: 7 }],
  ["l2.load.submitted", { ...FS, tenant: "", bytes: 5 }],
  ["l2.load.completed", { ...DONE, outcome: "ok", bytes: 100, requestedBytes: 100 }],
  ["l2.load.completed", { ...DONE, tenant: "", outcome: "failed", bytes: 1, requestedBytes: 5 }],
  ["l1.allocation.failed", { during: "l2_prefetch", keys: 2, bytes: 1 }],
  ["l1.allocation.failed", { during: "l1_store", keys: 9, bytes: 1 }],
  ["timeout.raised", { exceptionType: "l2_load" }],
];

for (const how of ["folded", "single"] as const) {
  test(`L2PrefetchMetrics counts rounds at the first tier and balances loads and their bytes when events come ${how}`, async () => {
    const harness = new MetricsHarness(["fs", "s3"]);
    harness.tenants.count("t", 1);
    await harness.publish(new L2PrefetchMetrics(harness.instruments, ["fs", "s3"]), events, how);
    expect(await harness.nonZero()).toEqual({
      lmcache_mp_l2_prefetch_lookup_requests_total: 2,
      'lmcache_mp_l2_prefetch_lookup_objects_chunks_total{cache_salt="t"}': 1,
      lmcache_mp_l2_prefetch_lookup_objects_chunks_total: 1,
      lmcache_mp_l2_prefetch_hit_chunks_total: 2,
      lmcache_mp_l2_prefetch_load_submitted_requests_total: 4,
      'lmcache_mp_l2_prefetch_load_submitted_objects_chunks_total{cache_salt="t"}': 3,
      lmcache_mp_l2_prefetch_load_submitted_objects_chunks_total: 1,
      'lmcache_mp_l2_prefetch_load_completed_chunks_total{cache_salt="t"}': 1,
      'lmcache_mp_l2_prefetch_failure_chunks_total{reason="l1_oom"}': 2,
      'lmcache_mp_l2_prefetch_failure_chunks_total{reason="tier_error"}': 1,
      lmcache_mp_active_prefetch_jobs: 2,
      'lmcache_mp_num_inflight_l2_loads{l2_name="fs",adapter_index="0"}': 1,
      'lmcache_mp_num_inflight_l2_loads{l2_name="s3",adapter_index="1"}': 1,
      'lmcache_mp_inflight_load_memory_usage_bytes{l2_name="fs",adapter_index="0"}': 30,
      'lmcache_mp_inflight_load_memory_usage_bytes{l2_name="s3",adapter_index="1"}': 7,
      'lmcache_mp_l2_prefetch_adapters{state="active"}': 2,
      'lmcache_mp_timeouts_total{exception_type="l2_load"}': 1,
    });
  });
}
