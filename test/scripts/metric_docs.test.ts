import { expect, test } from "bun:test";
import { lmcacheAbsent } from "../../scripts/metric_docs.ts";
import { metricFamilies } from "../../src/subscribers/metrics/mod.ts";

/** LMCache's Prometheus names: its original design, its newest catalogue, and what its stock dashboard asks for. */
const upstream = [
  ...["sm_read_requests", "sm_read_succeed_keys", "sm_read_failed_keys"].map((name) => `lmcache_mp_${name}_total`),
  ...["sm_write_requests", "sm_write_succeed_keys", "sm_write_failed_keys"].map((name) => `lmcache_mp_${name}_total`),
  ...["read", "write", "evicted"].flatMap((name) => [
    `lmcache_mp_l1_${name}_keys_total`,
    `lmcache_mp_l1_${name}_chunks_total`,
  ]),
  "lmcache_mp_l1_eviction_loop_ticks_total",
  "lmcache_mp_l1_eviction_loop_triggered_total",
  "lmcache_mp_l1_allocation_failure_chunks_total",
  "lmcache_mp_l1_read_failure_chunks_total",
  "lmcache_mp_l1_memory_usage_bytes",
  "lmcache_mp_l1_usage_ratio",
  "lmcache_mp_l1_staging_bytes",
  "lmcache_mp_l1_chunk_lifetime_seconds",
  "lmcache_mp_l1_chunk_idle_before_evict_seconds",
  "lmcache_mp_l1_chunk_reuse_gap_seconds",
  "lmcache_mp_l1_chunk_evict_reuse_gap_seconds",
  "lmcache_mp_real_reuse_gap_seconds",
  "lmcache_mp_real_reuse_gap_objects_chunks",
  "lmcache_mp_l2_store_submitted_requests_total",
  "lmcache_mp_l2_store_submitted_objects_chunks_total",
  "lmcache_mp_l2_store_completed_requests_total",
  "lmcache_mp_l2_store_completed_objects_chunks_total",
  "lmcache_mp_l2_prefetch_lookup_requests_total",
  "lmcache_mp_l2_prefetch_lookup_objects_chunks_total",
  "lmcache_mp_l2_prefetch_hit_chunks_total",
  "lmcache_mp_l2_prefetch_load_submitted_requests_total",
  "lmcache_mp_l2_prefetch_load_submitted_objects_chunks_total",
  "lmcache_mp_l2_prefetch_load_completed_chunks_total",
  "lmcache_mp_l2_load_completed_requests_total",
  "lmcache_mp_l2_evicted_objects_chunks_total",
  "lmcache_mp_l2_prefetch_failure_chunks_total",
  "lmcache_mp_l2_usage_bytes",
  "lmcache_mp_num_inflight_l2_stores",
  "lmcache_mp_num_inflight_l2_loads",
  "lmcache_mp_inflight_load_memory_usage_bytes",
  "lmcache_mp_l2_prefetch_adapters",
  "lmcache_mp_l2_store_throughput_GB_per_second",
  "lmcache_mp_l2_load_throughput_GB_per_second",
  "lmcache_mp_lookup_requested_tokens_total",
  "lmcache_mp_lookup_hit_tokens_total",
  "lmcache_mp_lookup_hit_l1_tokens_total",
  "lmcache_mp_lookup_hit_l2_tokens_total",
  "lmcache_mp_lookup_hit_l1_keys_total",
  "lmcache_mp_lookup_hit_l2_keys_total",
  "lmcache_mp_lookups_requests_total",
  "lmcache_mp_lookup_early_exit_requests_total",
  "lmcache_mp_active_prefetch_jobs",
  "lmcache_mp_num_chunks_loaded_total",
  "lmcache_mp_num_submitted_stores_total",
  "lmcache_mp_num_finished_stores_total",
  "lmcache_mp_num_submitted_retrieves_total",
  "lmcache_mp_num_finished_retrieves_total",
  "lmcache_mp_timeouts_total",
  "lmcache_mp_l0_l1_store_throughput_GB_per_second",
  "lmcache_mp_l0_l1_load_throughput_GB_per_second",
  "lmcache_mp_transfer_staging_throughput_GB_per_second",
  "lmcache_mp_transfer_phase_bytes_total",
  "lmcache_mp_transfer_phase_elapsed_seconds_total",
  "lmcache_mp_l0_block_lifetime_seconds",
  "lmcache_mp_l0_block_idle_before_evict_seconds",
  "lmcache_mp_l0_block_reuse_gap_seconds",
  "lmcache_mp_event_bus_queue_depth",
  "lmcache_mp_event_bus_drain_lag_seconds",
  "lmcache_mp_event_bus_dropped_events_total",
  "lmcache_mp_event_bus_subscriber_exceptions_total",
  "lmcache_mp_key_directory_placement_count",
  "lmcache_mp_key_directory_placement_size_bytes",
  "grpc_server_call_duration_seconds",
  "lmcache_blend_lookup_requests_total",
];

test("the metrics have every series of LMCache that lmcacheAbsent does not explain, and no other of its name", () => {
  const names = metricFamilies.flatMap(({ metrics }) => metrics).map(({ name }) => name);
  const prefixes = lmcacheAbsent.flatMap((group) => group.prefixes);
  const isAbsent = (name: string) => prefixes.some((prefix) => name.startsWith(prefix));
  expect(upstream.filter((name) => !(names.includes(name)) && !isAbsent(name))).toEqual([]);
  expect(upstream.filter((name) => names.includes(name) && isAbsent(name))).toEqual([]);
  expect(names.filter((name) => name.startsWith("lmcache_") && !upstream.includes(name)))
    .toEqual([]);
  expect(prefixes.filter((prefix) => !upstream.some((name) => name.startsWith(prefix)))).toEqual([]);
});
