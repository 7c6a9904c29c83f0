import { expect, test } from "bun:test";
import { L2Metrics } from "../../../../src/subscribers/metrics/l2/l2.ts";
import { MetricsHarness, type Published } from "../harness.ts";

const FS = { tier: "fs", tenant: "", keys: 1 } as const;
const events: readonly Published[] = [
  ["l2.store.submitted", { ...FS, bytes: 100 }],
  ["l2.store.submitted", { ...FS, bytes: 100 }],
  ["l2.store.submitted", { ...FS, bytes: 100 }],
  ["l2.store.completed", { ...FS, outcome: "ok", bytes: 100, seconds: 0.5 }],
  ["l2.store.completed", { ...FS, outcome: "failed", bytes: 0, seconds: 0.5 }],
  ["l2.lookup.completed", { ...FS, outcome: "miss", seconds: 0.001 }],
  ["l2.load.submitted", { ...FS, bytes: 50 }],
  ["l2.load.submitted", { ...FS, bytes: 50 }],
  ["l2.load.completed", { ...FS, outcome: "ok", bytes: 50, requestedBytes: 50, seconds: 0.25 }],
  ["l2.load.completed", { ...FS, outcome: "aborted", bytes: 20, requestedBytes: 50, seconds: 16 }],
  ["l2.delete.completed", { ...FS, outcome: "deleted", seconds: 0.002 }],
  ["l2.removed", { ...FS, reason: "capacity", keys: 3, bytes: 30 }],
  ["l2.removed", { ...FS, reason: "corrupt", bytes: 4 }],
];

for (const how of ["folded", "single"] as const) {
  test(`L2Metrics counts, times and balances calls when events come ${how}`, async () => {
    const harness = new MetricsHarness();
    await harness.publish(new L2Metrics(harness.instruments, ["fs"]), events, how);
    expect(await harness.nonZero()).toEqual({
      lmcache_mp_l2_store_submitted_requests_total: 3,
      lmcache_mp_l2_store_submitted_objects_chunks_total: 3,
      'lmcache_mp_l2_store_completed_requests_total{l2_name="fs"}': 2,
      lmcache_mp_l2_store_completed_objects_chunks_total: 1,
      'lmcache_mp_l2_load_completed_requests_total{l2_name="fs"}': 2,
      lmcache_mp_l2_evicted_objects_chunks_total: 3,
      'lmcache_mp_num_inflight_l2_stores{l2_name="fs",adapter_index="0"}': 1,
      'vitrine_l2_requests_total{tier="fs",op="store",outcome="ok"}': 1,
      'vitrine_l2_requests_total{tier="fs",op="store",outcome="failed"}': 1,
      'vitrine_l2_requests_total{tier="fs",op="load",outcome="ok"}': 1,
      'vitrine_l2_requests_total{tier="fs",op="load",outcome="aborted"}': 1,
      'vitrine_l2_requests_total{tier="fs",op="lookup",outcome="miss"}': 1,
      'vitrine_l2_requests_total{tier="fs",op="delete",outcome="deleted"}': 1,
      'vitrine_l2_duration_seconds{tier="fs",op="store"}': { count: 2, sum: 1, buckets: { "0.5": 2 } },
      'vitrine_l2_duration_seconds{tier="fs",op="load"}': { count: 2, sum: 16.25, buckets: { "0.25": 1, "+Inf": 1 } },
      'vitrine_l2_duration_seconds{tier="fs",op="lookup"}': { count: 1, sum: 0.001, buckets: { "0.001": 1 } },
      'vitrine_l2_duration_seconds{tier="fs",op="delete"}': { count: 1, sum: 0.002, buckets: { "0.0025": 1 } },
      'vitrine_l2_bytes_total{tier="fs",op="store"}': 100,
      'vitrine_l2_bytes_total{tier="fs",op="load"}': 70,
      'vitrine_l2_removed_objects_total{tier="fs",reason="capacity"}': 3,
      'vitrine_l2_removed_objects_total{tier="fs",reason="corrupt"}': 1,
      'vitrine_l2_removed_bytes_total{tier="fs",reason="capacity"}': 30,
      'vitrine_l2_removed_bytes_total{tier="fs",reason="corrupt"}': 4,
    });
  });
}
