import { catalogue } from "../../../../events/catalogue.ts";
import type { MetricRow } from "../table_row.ts";
import { BY_TENANT } from "./by_tenant.ts";

const { exceptionType } = catalogue["timeout.raised"].fields;

const BY_ADAPTER = { labels: ["l2_name", "adapter_index"], zero: ["adapters"] } as const;
const LOOKUP = { kind: "counter", from: ["l2.lookup.completed"] } as const;
const SUBMITTED = { kind: "counter", from: ["l2.load.submitted"] } as const;
const RUNNING = { kind: "gauge", from: ["l2.load.submitted", "l2.load.completed"] } as const;

/** Gigabytes a second, from a slow network to memory. */
const RATE_BOUNDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 25, 50] as const;
const THROUGHPUT = {
  kind: "histogram",
  unit: "GBy/s",
  labels: ["l2_name"],
  zero: [{ l2_name: "adapters" }],
  bounds: RATE_BOUNDS,
} as const;

/** Reads that go past L1, by LMCache's names: there a prefetch, here each read that L1 cannot serve. */
export const l2PrefetchTable = {
  lmcache_mp_l2_prefetch_lookup_requests_total: {
    ...LOOKUP,
    labels: [],
    unit: "{request}",
    help: "Rounds in which the tiers were asked for an object, counted at the first tier.",
    answers: "How often is L2 asked?",
  },
  lmcache_mp_l2_prefetch_lookup_objects_chunks_total: {
    ...LOOKUP,
    ...BY_TENANT,
    unit: "{chunk}",
    help: "Objects that the tiers were asked for, counted at the first tier.",
    answers: "Whose reads go past memory?",
  },
  lmcache_mp_l2_prefetch_hit_chunks_total: {
    ...LOOKUP,
    labels: [],
    unit: "{chunk}",
    help: "Objects that a tier said it has.",
    answers: "How many of the objects asked for are in L2?",
  },
  lmcache_mp_l2_prefetch_load_submitted_requests_total: {
    ...SUBMITTED,
    labels: [],
    unit: "{request}",
    help: "Loads that began.",
    answers: "How much is loaded?",
  },
  lmcache_mp_l2_prefetch_load_submitted_objects_chunks_total: {
    ...SUBMITTED,
    ...BY_TENANT,
    unit: "{chunk}",
    help: "Objects in the loads that began.",
    answers: "For whom is loaded?",
  },
  lmcache_mp_l2_prefetch_load_completed_chunks_total: {
    kind: "counter",
    from: ["l2.load.completed"],
    ...BY_TENANT,
    unit: "{chunk}",
    help: "Objects loaded whole.",
    answers: "How many objects come out of L2?",
  },
  lmcache_mp_l2_prefetch_failure_chunks_total: {
    kind: "counter",
    from: ["l2.load.completed", "l1.allocation.failed"],
    labels: ["reason"],
    zero: [{ reason: ["l1_oom", "tier_error"] }],
    unit: "{chunk}",
    help: "Objects that could not be loaded into L1: no room (they are streamed past it), or the tier failed half-way.",
    answers: "Do loads fail, and why?",
  },
  lmcache_mp_active_prefetch_jobs: {
    ...RUNNING,
    labels: [],
    unit: "{job}",
    help: "Loads that have begun and not ended.",
    answers: "How much is being loaded now?",
  },
  lmcache_mp_num_inflight_l2_loads: {
    ...RUNNING,
    ...BY_ADAPTER,
    unit: "{request}",
    help: "Loads that have begun and not ended.",
    answers: "Does a tier fall behind with loading?",
  },
  lmcache_mp_inflight_load_memory_usage_bytes: {
    ...RUNNING,
    ...BY_ADAPTER,
    unit: "By",
    help: "Bytes of the loads that have begun and not ended.",
    answers: "How much memory may running loads hold?",
  },
  lmcache_mp_l2_prefetch_adapters: {
    kind: "gauge",
    from: "state",
    labels: ["state"],
    unit: "{adapter}",
    help: "L2 adapters by state.",
    answers: "How many tiers are there?",
  },
  lmcache_mp_l2_store_throughput_GB_per_second: {
    ...THROUGHPUT,
    from: ["l2.store.completed"],
    help: "Gigabytes a second of each store, waiting included.",
    answers: "How fast does a tier take objects?",
  },
  lmcache_mp_l2_load_throughput_GB_per_second: {
    ...THROUGHPUT,
    from: ["l2.load.completed"],
    help: "Gigabytes a second of each load, waiting included.",
    answers: "How fast does a tier give objects?",
  },
  lmcache_mp_timeouts_total: {
    kind: "counter",
    from: ["timeout.raised"],
    labels: ["exception_type"],
    zero: [{ exception_type: exceptionType.values }],
    unit: "{timeout}",
    help: "Calls given up because they took too long.",
    answers: "Does a tier hang?",
  },
} as const satisfies Record<string, MetricRow>;
