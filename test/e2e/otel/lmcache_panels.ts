/** Expressions of LMCache's stock dashboard, by panel, as far as they concern L1, L2, lookups, hit rate and the bus. */
export interface LmcachePanel {
  readonly panel: string;
  readonly expressions: readonly string[];
}

const by = "sum by (service_instance_id)";
const rate = (name: string) => `rate(${name}[$__rate_interval])`;
const rates = (...names: readonly string[]) => names.map(rate);
const mean = (name: string) => `${rate(`${name}_sum`)} / ${rate(`${name}_count`)}`;

export const lmcachePanels: readonly LmcachePanel[] = [
  {
    panel: "Failure Rates",
    expressions: [
      "lmcache_mp_l1_allocation_failure_chunks_total",
      "lmcache_mp_l1_read_failure_chunks_total",
      "lmcache_mp_l2_prefetch_failure_chunks_total",
      // The panel itself adds `or vector(0)`, with which it could not fail.
    ].map((name) => `${by} (${rate(name)})`),
  },
  {
    panel: "L1 Eviction Loop",
    expressions: rates("lmcache_mp_l1_eviction_loop_ticks_total", "lmcache_mp_l1_eviction_loop_triggered_total"),
  },
  { panel: "L1 Memory Usage", expressions: ["lmcache_mp_l1_memory_usage_bytes", "lmcache_mp_l1_usage_ratio"] },
  {
    panel: "L1 Cache Operations, L1 IOPS",
    expressions: rates(
      "lmcache_mp_l1_read_chunks_total",
      "lmcache_mp_l1_write_chunks_total",
      "lmcache_mp_l1_evicted_chunks_total",
    ),
  },
  {
    panel: "L2 Store Pipeline",
    expressions: rates(
      "lmcache_mp_l2_store_submitted_requests_total",
      "lmcache_mp_l2_store_completed_requests_total",
      "lmcache_mp_l2_store_submitted_objects_chunks_total",
      "lmcache_mp_l2_store_completed_objects_chunks_total",
    ),
  },
  {
    panel: "L2 Prefetch Pipeline",
    expressions: [
      ...rates(
        "lmcache_mp_l2_prefetch_lookup_requests_total",
        "lmcache_mp_l2_prefetch_lookup_objects_chunks_total",
        "lmcache_mp_l2_prefetch_load_submitted_requests_total",
        "lmcache_mp_l2_prefetch_load_submitted_objects_chunks_total",
        "lmcache_mp_l2_prefetch_load_completed_chunks_total",
      ),
      `sum(${rate("lmcache_mp_l2_prefetch_failure_chunks_total")})`,
    ],
  },
  {
    panel: "Inflight Operations",
    expressions: [
      "lmcache_mp_num_inflight_l2_stores",
      "lmcache_mp_num_inflight_l2_loads",
      "lmcache_mp_active_prefetch_jobs",
      "lmcache_mp_inflight_load_memory_usage_bytes",
    ],
  },
  {
    panel: "Event Bus",
    expressions: [
      "lmcache_mp_event_bus_queue_depth",
      "lmcache_mp_event_bus_drain_lag_seconds",
      ...rates("lmcache_mp_event_bus_dropped_events_total", "lmcache_mp_event_bus_subscriber_exceptions_total"),
    ],
  },
  {
    panel: "L1-L2 Throughput",
    expressions: [
      mean("lmcache_mp_l2_store_throughput_GB_per_second"),
      mean("lmcache_mp_l2_load_throughput_GB_per_second"),
    ],
  },
  {
    panel: "Lookup & Engine",
    expressions: rates(
      "lmcache_mp_lookup_requested_tokens_total",
      "lmcache_mp_lookup_hit_tokens_total",
      "lmcache_mp_num_chunks_loaded_total",
    ),
  },
  {
    panel: "Cache Hit Rate",
    expressions: [
      `${by} (${rate("lmcache_mp_lookup_hit_tokens_total")}) / ${by} (${
        rate("lmcache_mp_lookup_requested_tokens_total")
      })`,
    ],
  },
  {
    panel: "L2 IOPS",
    expressions: rates("lmcache_mp_l2_store_completed_requests_total", "lmcache_mp_l2_load_completed_requests_total"),
  },
  { panel: "L2 Usage", expressions: ["lmcache_mp_l2_usage_bytes"] },
  {
    panel: "L1 Chunk Lifecycle",
    expressions: [
      mean("lmcache_mp_l1_chunk_lifetime_seconds"),
      mean("lmcache_mp_l1_chunk_idle_before_evict_seconds"),
      mean("lmcache_mp_l1_chunk_reuse_gap_seconds"),
    ],
  },
  {
    panel: "L1 Evict-to-Reuse Gap",
    expressions: [
      mean("lmcache_mp_l1_chunk_evict_reuse_gap_seconds"),
      ...[0.5, 0.95].map((quantile) =>
        `histogram_quantile(${quantile}, sum by (le) (${rate("lmcache_mp_l1_chunk_evict_reuse_gap_seconds_bucket")}))`
      ),
    ],
  },
  {
    panel: "SM Real Reuse Gap",
    expressions: [
      mean("lmcache_mp_real_reuse_gap_seconds"),
      mean("lmcache_mp_real_reuse_gap_objects_chunks"),
    ],
  },
];

/** Panels of the stock dashboard that stay empty, and why. */
export const emptyPanels: Readonly<Record<string, string>> = {
  "Inflight GPU Copies": "there is no GPU",
  "L0-L1 Throughput": "L0 is GPU memory",
  "L0 Block Lifecycle": "L0 is GPU memory",
  "MP Transfer Phases": "transfers between GPU and host",
  "CacheBlend": "a feature of LMCache's engine",
  "Tempo panels": "span names of LMCache's engine",
};
