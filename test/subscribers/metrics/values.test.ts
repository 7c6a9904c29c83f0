import { expect, test } from "bun:test";
import { l1Family, livesFamily, reuseFamily } from "../../../src/subscribers/metrics/families/l1.ts";
import { l2CommitsFamily, l2Family } from "../../../src/subscribers/metrics/families/l2.ts";
import { l2PrefetchFamily, l2ThroughputFamily } from "../../../src/subscribers/metrics/families/l2_prefetch.ts";
import {
  leaseFamily,
  lookupFamily,
  manyKeysFamily,
  prefetchFamily,
  smFamily,
} from "../../../src/subscribers/metrics/families/lookup.ts";
import { accessFamily, httpFamily, trafficFamily } from "../../../src/subscribers/metrics/families/requests.ts";
import { workersFamily } from "../../../src/subscribers/metrics/families/state.ts";
import type { Family } from "../../../src/subscribers/metrics/metric.ts";
import { metricFamilies } from "../../../src/subscribers/metrics/mod.ts";
import { MetricsHarness, type Published, type SeriesValue } from "./harness.ts";

/** Events, and every series of some families that is not zero after them. */
interface Case {
  readonly what: string;
  readonly families: readonly Family[];
  readonly adapters?: readonly string[];
  /** Tenants that have a label when the events come. */
  readonly labelled?: readonly string[];
  readonly events: readonly Published[];
  readonly expected: Readonly<Record<string, SeriesValue>>;
}

const JOB = { tenant: "t", hit: 0, loaded: 0, miss: 0, notAttempted: 0, noRoom: 0, failed: 0 } as const;
const REFUSED = { route: "/status", method: "GET", address: "10.0.0.1" } as const;
const SOME = { tenant: "t", keys: 2, bytes: 100 } as const;
const FS = { tier: "fs", tenant: "", keys: 1 } as const;
const OF_T = { ...FS, tenant: "t" } as const;
const GET = { route: "/v1/objects/{key}", method: "GET", status: "200", outcome: "complete" } as const;
const NONE = { tenant: "", tier: "", bytes: 0 } as const;

const LOOKED_UP = {
  tenant: "",
  l1Keys: 0,
  l2Keys: 0,
  missingKeys: 0,
  unknownKeys: 0,
  tokens: 0,
  l1Tokens: 0,
  l2Tokens: 0,
} as const;

const answer = (method: string, status: string) =>
  `{http_request_method="${method}",http_route="/v1/objects/{key}",http_response_status_code="${status}"}`;

const commit = (changes: number, seconds: number, syncSeconds?: number): readonly Published[] => [
  ["l2.committed", { tier: "fs", changes }],
  ["l2.commit.timed", { tier: "fs", part: "commit", seconds }],
  ...(syncSeconds === undefined
    ? []
    : [["l2.commit.timed", { tier: "fs", part: "sync", seconds: syncSeconds }] as const]),
];

const gone = (["threw", "hung", "threw", "stopped", "killed"] as const)
  .map((cause, slot) => ["worker.gone", { slot: String(slot), cause }] as const);
const ended = (["threw", "threw", "not_started"] as const).map((cause) =>
  ["storage_thread.gone", { thread: "file", cause }] as const
);

const cases: readonly Case[] = [
  {
    what: "what L1 does",
    families: [l1Family],
    events: [
      ["l1.read.reserved", SOME],
      ["l1.read.finished", SOME],
      ["l1.read.finished", { ...SOME, tenant: "other", keys: 3 }],
      ["l1.write.reserved", SOME],
      ["l1.write.finished", SOME],
      ["l1.write_finished_and_read_reserved", { ...SOME, keys: 5 }],
      ["l1.removed", { ...SOME, reason: "watermark" }],
      ["l1.removed", { ...SOME, reason: "watermark", keys: 1, bytes: 11 }],
      ["l1.removed", { ...SOME, reason: "replaced", keys: 1, bytes: 7 }],
      ["l1.removed", { ...SOME, tenant: "", reason: "quota", keys: 8, bytes: 3 }],
      ["l1.quota.refused", { ...SOME, tenant: "", keys: 6, bytes: 3 }],
      ["l1.lease.expired", { kind: "write", keys: 4 }],
      ["l1.allocation.failed", { during: "l2_prefetch", keys: 6, bytes: 1 }],
      ["l1.read.failed", { during: "l2_store", reason: "not_found", keys: 7 }],
      ["l1.eviction.tick", { triggered: "true", keys: 9, bytes: 9 }],
      ["l1.eviction.tick", { triggered: "false", keys: 0, bytes: 0 }],
      ["l1.eviction.tick", { triggered: "false", keys: 0, bytes: 0 }],
    ],
    expected: {
      lmcache_mp_l1_read_keys_total: 5,
      'lmcache_mp_l1_read_chunks_total{cache_salt="_other"}': 5,
      lmcache_mp_l1_write_keys_total: 7,
      'lmcache_mp_l1_write_chunks_total{cache_salt="_other"}': 7,
      lmcache_mp_l1_evicted_keys_total: 12,
      lmcache_mp_l1_evicted_chunks_total: 8,
      vitrine_quota_evicted_objects_total: 8,
      vitrine_quota_refused_objects_total: 6,
      'lmcache_mp_l1_evicted_chunks_total{cache_salt="_other"}': 4,
      'vitrine_l1_removed_objects_total{reason="watermark"}': 3,
      'vitrine_l1_removed_objects_total{reason="replaced"}': 1,
      'vitrine_l1_removed_objects_total{reason="quota"}': 8,
      'vitrine_l1_removed_bytes_total{reason="quota"}': 3,
      'vitrine_l1_removed_bytes_total{reason="watermark"}': 111,
      'vitrine_l1_removed_bytes_total{reason="replaced"}': 7,
      'vitrine_l1_lease_expired_total{kind="write"}': 4,
      'lmcache_mp_l1_allocation_failure_chunks_total{during="l2_prefetch"}': 6,
      'lmcache_mp_l1_read_failure_chunks_total{during="l2_store",reason="not_found"}': 7,
      lmcache_mp_l1_eviction_loop_ticks_total: 3,
      lmcache_mp_l1_eviction_loop_triggered_total: 1,
    },
  },
  {
    what: "requests and keys of the storage manager",
    families: [smFamily],
    events: [
      ["sm.read.prefetched", { tenant: "", succeeded: 1, failed: 0 }],
      ["sm.read.prefetched", { tenant: "", succeeded: 3, failed: 4 }],
      ["sm.write.reserved", { tenant: "", succeeded: 1, failed: 0 }],
      ["sm.write.reserved", { tenant: "", succeeded: 0, failed: 1 }],
      ["sm.write.reserved", { tenant: "a", succeeded: 5, failed: 1 }],
    ],
    expected: {
      lmcache_mp_sm_read_requests_total: 2,
      lmcache_mp_sm_read_succeed_keys_total: 4,
      lmcache_mp_sm_read_failed_keys_total: 4,
      lmcache_mp_sm_write_requests_total: 3,
      lmcache_mp_sm_write_succeed_keys_total: 6,
      lmcache_mp_sm_write_failed_keys_total: 2,
    },
  },
  {
    what: "both sides of the hit rate, bytes by tier, and only stored writes",
    families: [lookupFamily, trafficFamily],
    adapters: ["fs", "redis"],
    labelled: ["a"],
    events: [
      ["lookup.finished", { tenant: "", tier: "l1", result: "hit", reason: "", keys: 2, bytes: 10 }],
      ["lookup.finished", { tenant: "a", tier: "l1", result: "hit", reason: "", keys: 1, bytes: 10 }],
      ["lookup.finished", { tenant: "", tier: "redis", result: "hit", reason: "", keys: 6, bytes: 10 }],
      ["lookup.finished", { ...NONE, result: "miss", reason: "capacity", keys: 4 }],
      ["lookup.finished", { ...NONE, result: "miss", reason: "never_stored", keys: 2 }],
      ["lookup.finished", { ...NONE, result: "error", reason: "tier_failed", keys: 3 }],
      ["sm.read.finished", { tenant: "b", keys: 7, bytes: 10 }],
      ["l1.read.finished", { tenant: "", keys: 2, bytes: 10 }],
      ["l2.load.completed", { ...FS, outcome: "ok", bytes: 100, requestedBytes: 100, seconds: 1 }],
      ["l2.load.completed", { ...FS, outcome: "failed", bytes: 1, requestedBytes: 9, seconds: 1 }],
      ["sm.write.finished", { tenant: "", outcome: "stored", keys: 1, bytes: 1000 }],
      ["sm.write.finished", { tenant: "", outcome: "aborted", keys: 1, bytes: 500 }],
      ["sm.write_back.failed", { tenant: "", keys: 1, bytes: 100 }],
      ["sm.write_back.failed", { tenant: "a", keys: 2, bytes: 200 }],
    ],
    expected: {
      'vitrine_lookups_total{tier="l1",result="hit"}': 3,
      'vitrine_lookups_total{tier="redis",result="hit"}': 6,
      'vitrine_lookups_total{tier="none",result="miss"}': 6,
      'vitrine_lookups_total{tier="none",result="error"}': 3,
      'vitrine_lookup_misses_total{reason="capacity"}': 4,
      'vitrine_lookup_misses_total{reason="never_stored"}': 2,
      lmcache_mp_lookups_requests_total: 5,
      'lmcache_mp_lookups_requests_total{cache_salt="a"}': 1,
      lmcache_mp_lookup_requested_tokens_total: 17,
      'lmcache_mp_lookup_requested_tokens_total{cache_salt="a"}': 1,
      lmcache_mp_lookup_hit_tokens_total: 8,
      'lmcache_mp_lookup_hit_tokens_total{cache_salt="a"}': 1,
      lmcache_mp_lookup_hit_l1_tokens_total: 2,
      'lmcache_mp_lookup_hit_l1_tokens_total{cache_salt="a"}': 1,
      lmcache_mp_lookup_hit_l2_tokens_total: 6,
      lmcache_mp_lookup_hit_l1_keys_total: 2,
      'lmcache_mp_lookup_hit_l1_keys_total{cache_salt="a"}': 1,
      lmcache_mp_lookup_hit_l2_keys_total: 6,
      'lmcache_mp_num_chunks_loaded_total{cache_salt="_other"}': 7,
      'vitrine_read_bytes_total{tier="l1"}': 10,
      'vitrine_read_bytes_total{tier="fs"}': 101,
      vitrine_written_bytes_total: 1000,
      vitrine_write_back_failed_objects_total: 3,
    },
  },
  {
    what: "requests about many keys, by what they found",
    families: [manyKeysFamily],
    labelled: ["a"],
    events: [
      ["sm.keys.looked_up", { ...LOOKED_UP, l1Keys: 1, l2Keys: 2, tokens: 2560, l1Tokens: 256, l2Tokens: 512 }],
      ["sm.keys.looked_up", { ...LOOKED_UP, tenant: "a", missingKeys: 3, unknownKeys: 4, tokens: 7 }],
    ],
    expected: {
      vitrine_prefix_lookups_total: 1,
      'vitrine_prefix_lookups_total{cache_salt="a"}': 1,
      vitrine_prefix_lookup_l1_keys_total: 1,
      vitrine_prefix_lookup_l2_keys_total: 2,
      vitrine_prefix_lookup_missing_keys_total: 3,
      vitrine_prefix_lookup_unknown_keys_total: 4,
      vitrine_prefix_lookup_requested_tokens_total: 2560,
      'vitrine_prefix_lookup_requested_tokens_total{cache_salt="a"}': 7,
      vitrine_prefix_lookup_hit_l1_tokens_total: 256,
      vitrine_prefix_lookup_hit_l2_tokens_total: 512,
    },
  },
  {
    what: "leases of clients, and what became of them",
    families: [leaseFamily],
    events: [
      ["l1.hold.taken", { ...SOME, keys: 10 }],
      ["l1.hold.released", { ...SOME, keys: 4 }],
      ["l1.hold.expired", { ...SOME, keys: 3 }],
      ["sm.lease.refused", { tenant: "", keys: 2 }],
    ],
    expected: {
      vitrine_lease_taken_objects_total: 10,
      vitrine_lease_released_objects_total: 4,
      vitrine_lease_expired_objects_total: 3,
      vitrine_lease_refused_objects_total: 2,
    },
  },
  {
    what: "prefetch jobs, by outcome, and the outcomes of their keys",
    families: [prefetchFamily],
    events: [
      ["sm.prefetch.ended", { ...JOB, outcome: "done", hit: 1, loaded: 2, miss: 3, seconds: 0.25 }],
      ["sm.prefetch.ended", { ...JOB, outcome: "deadline", notAttempted: 4, noRoom: 5, failed: 6, seconds: 0.5 }],
    ],
    expected: {
      'vitrine_prefetch_jobs_total{outcome="done"}': 1,
      'vitrine_prefetch_jobs_total{outcome="deadline"}': 1,
      vitrine_prefetch_hit_keys_total: 1,
      vitrine_prefetch_loaded_keys_total: 2,
      vitrine_prefetch_missing_keys_total: 3,
      vitrine_prefetch_not_attempted_keys_total: 4,
      vitrine_prefetch_refused_no_room_keys_total: 5,
      vitrine_prefetch_failed_keys_total: 6,
      vitrine_prefetch_duration_seconds: { count: 2, sum: 0.75, buckets: { "0.25": 1, "0.5": 1 } },
    },
  },
  {
    what: "requests and bytes, with a value on a bound in its bucket,",
    families: [httpFamily],
    events: [
      ["http.request.start", GET],
      ["http.request.end", { ...GET, seconds: 0.1, requestBytes: 0, responseBytes: 4096 }],
      ["http.request.end", { ...GET, seconds: 0.1, requestBytes: 0, responseBytes: 4096 }],
      ["http.request.end", { ...GET, seconds: 0.1, requestBytes: 0, responseBytes: 1 }],
      ["http.request.end", { ...GET, outcome: "aborted", seconds: 0.00005, requestBytes: 7, responseBytes: 3 }],
      ["http.request.end", { ...GET, method: "PUT", status: "201", seconds: 20, requestBytes: 100, responseBytes: 0 }],
      ["http.body", { ...GET, direction: "response", bytes: 4096 }],
      ["http.body", { ...GET, direction: "response", bytes: 4096 }],
      ["http.body", { ...GET, direction: "response", bytes: 1 }],
      ["http.body", { ...GET, direction: "request", method: "PUT", status: "201", bytes: 70_000_000 }],
    ],
    expected: {
      [`http_server_request_duration_seconds${answer("GET", "200")}`]: {
        count: 4,
        sum: expect.any(Number),
        buckets: { "0.00005": 1, "0.1": 3 },
      },
      [`http_server_request_duration_seconds${answer("PUT", "201")}`]: { count: 1, sum: 20, buckets: { "+Inf": 1 } },
      [`http_server_response_body_size_bytes${answer("GET", "200")}`]: {
        count: 3,
        sum: 8193,
        buckets: { "1024": 1, "4096": 2 },
      },
      [`http_server_request_body_size_bytes${answer("PUT", "201")}`]: {
        count: 1,
        sum: 70_000_000,
        buckets: { "+Inf": 1 },
      },
      vitrine_http_request_body_bytes_total: 107,
      vitrine_http_response_body_bytes_total: 8196,
      vitrine_http_aborted_total: 1,
    },
  },
  {
    what: "calls to a tier, their time and what is under way",
    families: [l2Family],
    events: [
      ["l2.store.submitted", { ...FS, bytes: 100 }],
      ["l2.store.submitted", { ...FS, bytes: 100 }],
      ["l2.store.submitted", { ...FS, bytes: 100 }],
      ["l2.store.completed", { ...FS, outcome: "ok", bytes: 100, seconds: 0.5 }],
      ["l2.store.completed", { ...FS, outcome: "failed", bytes: 0, seconds: 0.5 }],
      ["l2.lookup.completed", { ...FS, outcome: "miss", seconds: 0.001 }],
      ["l2.lookup_many.completed", { ...FS, outcome: "ok", keys: 1000, hits: 7, seconds: 0.002 }],
      ["l2.lookup_many.completed", { ...FS, outcome: "error", keys: 1000, hits: 0, seconds: 0.002 }],
      ["l2.load.submitted", { ...FS, bytes: 50 }],
      ["l2.load.submitted", { ...FS, bytes: 50 }],
      ["l2.load.completed", { ...FS, outcome: "ok", bytes: 50, requestedBytes: 50, seconds: 0.25 }],
      ["l2.load.completed", { ...FS, outcome: "aborted", bytes: 20, requestedBytes: 50, seconds: 16 }],
      ["l2.delete.completed", { ...FS, outcome: "deleted", seconds: 0.002 }],
      ["l2.removed", { ...FS, reason: "capacity", keys: 3, bytes: 30 }],
      ["l2.removed", { ...FS, reason: "corrupt", bytes: 4 }],
      ["l2.changed_elsewhere", { tier: "redis", scope: "key", seconds: 0.25 }],
      ["l2.changed_elsewhere", { tier: "redis", scope: "key", seconds: 0.25 }],
      ["l2.changed_elsewhere", { tier: "redis", scope: "any", seconds: 0 }],
      ["l2.damaged", { tier: "fs", found: "scrub", keyHash: "0123456789abcdef" }],
      ["l2.scrubbed", { tier: "fs", outcome: "intact", keys: 1, bytes: 60 }],
      ["l2.scrubbed", { tier: "fs", outcome: "damaged", keys: 1, bytes: 7 }],
    ],
    expected: {
      'vitrine_l2_changed_elsewhere_total{tier="redis",scope="key"}': 2,
      'vitrine_l2_changed_elsewhere_total{tier="redis",scope="any"}': 1,
      'vitrine_l2_change_lag_seconds{tier="redis"}': { buckets: { 0.25: 2 }, count: 2, sum: 0.5 },
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
      'vitrine_l2_requests_total{tier="fs",op="lookup_many",outcome="ok"}': 1,
      'vitrine_l2_requests_total{tier="fs",op="lookup_many",outcome="error"}': 1,
      'vitrine_l2_requests_total{tier="fs",op="delete",outcome="deleted"}': 1,
      'vitrine_l2_duration_seconds{tier="fs",op="store"}': { count: 2, sum: 1, buckets: { "0.5": 2 } },
      'vitrine_l2_duration_seconds{tier="fs",op="load"}': { count: 2, sum: 16.25, buckets: { "0.25": 1, "+Inf": 1 } },
      'vitrine_l2_duration_seconds{tier="fs",op="lookup"}': { count: 1, sum: 0.001, buckets: { "0.001": 1 } },
      'vitrine_l2_duration_seconds{tier="fs",op="lookup_many"}': { count: 2, sum: 0.004, buckets: { "0.0025": 2 } },
      'vitrine_l2_duration_seconds{tier="fs",op="delete"}': { count: 1, sum: 0.002, buckets: { "0.0025": 1 } },
      'vitrine_l2_bytes_total{tier="fs",op="store"}': 100,
      'vitrine_l2_bytes_total{tier="fs",op="load"}': 70,
      'vitrine_l2_removed_objects_total{tier="fs",reason="capacity"}': 3,
      'vitrine_l2_removed_objects_total{tier="fs",reason="corrupt"}': 1,
      'vitrine_l2_damaged_objects_total{tier="fs",found="scrub"}': 1,
      'vitrine_l2_scrubbed_objects_total{tier="fs",outcome="intact"}': 1,
      'vitrine_l2_scrubbed_objects_total{tier="fs",outcome="damaged"}': 1,
      'vitrine_l2_scrubbed_bytes_total{tier="fs"}': 67,
      'vitrine_l2_removed_bytes_total{tier="fs",reason="capacity"}': 30,
      'vitrine_l2_removed_bytes_total{tier="fs",reason="corrupt"}': 4,
    },
  },
  {
    what: "every commit in its bucket, and only real syncs",
    families: [l2CommitsFamily],
    events: [
      ...commit(1, 0.001, 0.0008),
      ...commit(1, 0.004),
      ...commit(64, 0.5, 0.25),
      ...commit(512, 16, 0.125),
      ["l2.reclaimed", { tier: "fs", bytes: 1000, copiedBytes: 300 }],
      ["l2.reclaimed", { tier: "fs", bytes: 500, copiedBytes: 0 }],
      ["l2.cleanup_failed", { tier: "fs", error: "remove: EBUSY" }],
      ["l2.cleanup_failed", { tier: "fs" }],
    ],
    expected: {
      'vitrine_l2_commit_changes{tier="fs"}': { count: 4, sum: 578, buckets: { "1": 2, "64": 1, "512": 1 } },
      'vitrine_l2_commit_duration_seconds{tier="fs"}': {
        count: 4,
        sum: 16.505,
        buckets: { "0.001": 1, "0.005": 1, "0.5": 1, "+Inf": 1 },
      },
      'vitrine_l2_commit_sync_duration_seconds{tier="fs"}': {
        count: 3,
        sum: 0.3758,
        buckets: { "0.001": 1, "0.25": 2 },
      },
      'vitrine_l2_reclaimed_bytes_total{tier="fs"}': 1500,
      'vitrine_l2_reclaim_copied_bytes_total{tier="fs"}': 300,
      'vitrine_l2_cleanup_failures_total{tier="fs"}': 2,
    },
  },
  {
    what: "rounds at the first tier, loads under way and their bytes",
    families: [l2PrefetchFamily],
    adapters: ["fs", "s3"],
    labelled: ["t"],
    events: [
      ["l2.lookup.completed", { ...OF_T, seconds: 1, outcome: "miss" }],
      ["l2.lookup.completed", { ...OF_T, seconds: 1, tier: "s3", outcome: "hit" }],
      ["l2.lookup.completed", { ...FS, seconds: 1, outcome: "hit" }],
      ["l2.lookup_many.completed", { ...OF_T, seconds: 1, outcome: "ok", keys: 100, hits: 10 }],
      ["l2.lookup_many.completed", { ...OF_T, seconds: 1, tier: "s3", outcome: "ok", keys: 90, hits: 20 }],
      ["l2.load.submitted", { ...OF_T, bytes: 100 }],
      ["l2.load.submitted", { ...OF_T, bytes: 30 }],
      ["l2.load.submitted", { ...OF_T, tier: "s3", bytes: 7 }],
      ["l2.load.submitted", { ...FS, bytes: 5 }],
      ["l2.load.completed", { ...OF_T, seconds: 1, outcome: "ok", bytes: 100, requestedBytes: 100 }],
      ["l2.load.completed", { ...FS, seconds: 1, outcome: "failed", bytes: 1, requestedBytes: 5 }],
      ["l1.allocation.failed", { during: "l2_prefetch", keys: 2, bytes: 1 }],
      ["l1.allocation.failed", { during: "l1_store", keys: 9, bytes: 1 }],
    ],
    expected: {
      lmcache_mp_l2_prefetch_lookup_requests_total: 3,
      'lmcache_mp_l2_prefetch_lookup_objects_chunks_total{cache_salt="t"}': 101,
      lmcache_mp_l2_prefetch_lookup_objects_chunks_total: 1,
      lmcache_mp_l2_prefetch_hit_chunks_total: 32,
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
    },
  },
  {
    what: "the rate of each store and load that moved bytes in some time, and calls given up",
    families: [l2ThroughputFamily],
    events: [
      ["l2.transferred", { tier: "fs", direction: "store", rate: 2 }],
      ["l2.transferred", { tier: "fs", direction: "store", rate: 8 }],
      ["l2.transferred", { tier: "fs", direction: "load", rate: 0.25 }],
      ["timeout.raised", { exceptionType: "l2_load" }],
    ],
    expected: {
      'lmcache_mp_l2_store_throughput_GB_per_second{l2_name="fs"}': {
        count: 2,
        sum: 10,
        buckets: { "2.5": 1, "10": 1 },
      },
      'lmcache_mp_l2_load_throughput_GB_per_second{l2_name="fs"}': { count: 1, sum: 0.25, buckets: { "0.25": 1 } },
      'lmcache_mp_timeouts_total{exception_type="l2_load"}': 1,
    },
  },
  {
    what: "by cause the workers and storage threads that were replaced, not those that stopped,",
    families: [workersFamily],
    events: [...gone, ...ended],
    expected: {
      'vitrine_worker_restarts_total{cause="threw"}': 2,
      'vitrine_worker_restarts_total{cause="hung"}': 1,
      'vitrine_worker_restarts_total{cause="killed"}': 1,
      'vitrine_storage_thread_restarts_total{thread="file",cause="threw"}': 2,
      'vitrine_storage_thread_restarts_total{thread="file",cause="not_started"}': 1,
    },
  },
  {
    what: "who is refused, and changes of the tokens",
    families: [accessFamily],
    events: [
      ["access.refused", { ...REFUSED, reason: "missing" }],
      ["access.refused", { ...REFUSED, reason: "forbidden" }],
      ["access.refused", { ...REFUSED, reason: "forbidden" }],
      ["limit.reached", { limit: "tenant_rate", route: "/v1/objects/{key}", method: "GET" }],
      ["access.keys.changed", { outcome: "loaded", keys: 2 }],
      ["tls.certificate.changed", { outcome: "failed", error: "a certificate is cut off" }],
      ["access.tokens.changed", { outcome: "loaded", tokens: 3 }],
      ["access.tokens.changed", { outcome: "failed", tokens: 0, error: "no JSON" }],
    ],
    expected: {
      'vitrine_auth_failures_total{reason="missing"}': 1,
      'vitrine_auth_failures_total{reason="forbidden"}': 2,
      'vitrine_limits_reached_total{limit="tenant_rate"}': 1,
      'vitrine_jwks_loads_total{outcome="loaded"}': 1,
      'vitrine_tls_certificate_loads_total{outcome="failed"}': 1,
      'vitrine_token_file_loads_total{outcome="loaded"}': 1,
      'vitrine_token_file_loads_total{outcome="failed"}': 1,
    },
  },
];

for (const { what, families, adapters = ["fs"], labelled = [], events, expected } of cases) {
  for (const how of ["folded", "single"] as const) {
    test(`metrics count ${what} when events come ${how}`, async () => {
      const harness = new MetricsHarness(families, { adapters });
      for (const tenant of labelled) harness.bus.publish("sm.write.reserved", { tenant, succeeded: 1, failed: 0 });
      await harness.bus.flush();
      await harness.publish(events, how);
      expect(await harness.nonZero()).toEqual(expected);
    });
  }
}

test("httpFamily shows a histogram's series from its first use, and its counters at zero before that", async () => {
  expect(await new MetricsHarness([httpFamily]).series()).toEqual({
    vitrine_http_request_body_bytes_total: 0,
    vitrine_http_response_body_bytes_total: 0,
    vitrine_http_aborted_total: 0,
  });
});

test("what is in flight is never below zero when ends come before their beginnings", async () => {
  const harness = new MetricsHarness([l2Family]);
  const name = 'lmcache_mp_num_inflight_l2_stores{l2_name="fs",adapter_index="0"}';
  await harness.publish([["l2.store.completed", { ...FS, outcome: "ok", bytes: 1, seconds: 1 }]]);
  expect((await harness.series())[name]).toBe(0);
  const submitted = ["l2.store.submitted", { ...FS, bytes: 1 }] as const;
  await harness.publish([submitted, submitted]);
  expect((await harness.series())[name]).toBe(1);
});

test("every metric that is fed by events is counted by a test", () => {
  // The values of these are in lifetimes.test.ts.
  const elsewhere = [livesFamily, reuseFamily];
  const fed = metricFamilies.filter((family) => !elsewhere.includes(family)).flatMap(({ metrics }) => metrics)
    .filter(({ feed }) => Object.keys(feed.measures).length > 0);
  const counted = new Set(cases.flatMap(({ expected }) => Object.keys(expected)).map((one) => one.replace(/\{.*/, "")));
  expect(fed.map(({ name }) => name).filter((name) => !counted.has(name))).toEqual([]);
});
