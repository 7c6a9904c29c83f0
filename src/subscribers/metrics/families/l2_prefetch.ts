import { catalogue, RATE_BOUNDS } from "../../../events/catalogue.ts";
import { BY_TENANT, counter, type Family, gauge, histogram, inFlight, keysByTenant } from "../metric.ts";

const { exceptionType } = catalogue["timeout.raised"].fields;

const BY_ADAPTER = { labels: ["l2_name", "adapter_index"] } as const;

/** Reads that L1 cannot serve, by LMCache's names. LMCache calls such a read a prefetch. */
export const l2PrefetchFamily: Family = {
  name: "metrics.l2_prefetch",
  metrics: [
    // Every lookup in the tiers asks the first tier; the others are asked only after a miss.
    counter("lmcache_mp_l2_prefetch_lookup_requests_total", {
      unit: "{request}",
      help: "Lookups in the tiers, counted at the first tier; one for a call about many keys.",
      answers: "How often does a read go to L2?",
    })
      .on("l2.lookup.completed", ({ tier, count }, { adapters: [first] }) => tier === first ? count : undefined)
      .on("l2.lookup_many.completed", ({ tier, count }, { adapters: [first] }) => tier === first ? count : undefined),
    counter("lmcache_mp_l2_prefetch_lookup_objects_chunks_total", {
      ...BY_TENANT,
      unit: "{chunk}",
      help: "Objects looked up in the tiers, counted at the first tier.",
      answers: "Whose reads miss memory?",
    })
      .on(
        "l2.lookup.completed",
        (lookup, { adapters: [first] }) => lookup.tier === first ? keysByTenant(lookup) : undefined,
      )
      .on(
        "l2.lookup_many.completed",
        (lookup, { adapters: [first] }) => lookup.tier === first ? keysByTenant(lookup) : undefined,
      ),
    counter("lmcache_mp_l2_prefetch_hit_chunks_total", {
      unit: "{chunk}",
      help: "Objects found in a tier.",
      answers: "How many of the objects looked up are in L2?",
    })
      .on("l2.lookup.completed", ({ outcome, keys }) => outcome === "hit" ? keys : undefined)
      .on("l2.lookup_many.completed", ({ hits }) => hits),
    counter("lmcache_mp_l2_prefetch_load_submitted_requests_total", {
      unit: "{request}",
      help: "Loads that began.",
      answers: "How much is loaded?",
    }).on("l2.load.submitted", ({ count }) => count),
    counter("lmcache_mp_l2_prefetch_load_submitted_objects_chunks_total", {
      ...BY_TENANT,
      unit: "{chunk}",
      help: "Objects in the loads that began.",
      answers: "Whose objects are loaded?",
    }).on("l2.load.submitted", keysByTenant),
    counter("lmcache_mp_l2_prefetch_load_completed_chunks_total", {
      ...BY_TENANT,
      unit: "{chunk}",
      help: "Objects loaded completely.",
      answers: "How many objects are loaded from L2?",
    }).on("l2.load.completed", (load) => load.outcome === "ok" ? keysByTenant(load) : undefined),
    counter("lmcache_mp_l2_prefetch_failure_chunks_total", {
      unit: "{chunk}",
      help:
        "Objects that could not be loaded into L1: there was no room (the object is streamed past L1), or the tier failed midway.",
      answers: "Do loads fail, and why?",
      labels: ["reason"],
      zero: [{ reason: ["l1_oom", "tier_error"] }],
    })
      .on(
        "l2.load.completed",
        ({ outcome, keys }) => outcome === "failed" ? [keys, { reason: "tier_error" }] : undefined,
      )
      .on(
        "l1.allocation.failed",
        ({ during, keys }) => during === "l2_prefetch" ? [keys, { reason: "l1_oom" }] : undefined,
      ),
    inFlight("lmcache_mp_active_prefetch_jobs", {
      unit: "{job}",
      help: "Loads in progress.",
      answers: "How much is being loaded now?",
    })
      .on("l2.load.submitted", ({ count, tier }) => [count, { tier }])
      .on("l2.load.completed", ({ count, tier }) => [-count, { tier }]),
    inFlight("lmcache_mp_num_inflight_l2_loads", {
      ...BY_ADAPTER,
      unit: "{request}",
      help: "Loads in progress.",
      answers: "Does a tier fall behind with loads?",
    })
      .on("l2.load.submitted", ({ count, tier }) => [count, { tier }])
      .on("l2.load.completed", ({ count, tier }) => [-count, { tier }]),
    inFlight("lmcache_mp_inflight_load_memory_usage_bytes", {
      ...BY_ADAPTER,
      unit: "By",
      help: "Bytes of the loads in progress.",
      answers: "How much memory may loads in progress hold?",
    })
      .on("l2.load.submitted", ({ bytes, tier }) => [bytes, { tier }])
      .on("l2.load.completed", ({ requestedBytes, tier }) => [-requestedBytes, { tier }]),
    gauge("lmcache_mp_l2_prefetch_adapters", {
      unit: "{adapter}",
      help: "L2 adapters by state.",
      answers: "How many tiers are there?",
      labels: ["state"],
    }).read("adapters", (adapters) => [[adapters.length, { state: "active" }], [0, { state: "draining" }]]),
  ],
};

const THROUGHPUT = {
  unit: "GBy/s",
  labels: ["l2_name"],
  bounds: RATE_BOUNDS,
} as const;

/** Throughput between L1 and each tier, and timed-out calls, by LMCache's names. */
export const l2ThroughputFamily: Family = {
  name: "metrics.l2_throughput",
  metrics: [
    histogram("lmcache_mp_l2_store_throughput_GB_per_second", {
      ...THROUGHPUT,
      help: "Gigabytes per second of each store, waiting time included.",
      answers: "How fast does a tier store objects?",
    }).on(
      "l2.transferred",
      ({ tier, direction, rate }) => direction === "store" ? [rate, { l2_name: tier }] : undefined,
    ),
    histogram("lmcache_mp_l2_load_throughput_GB_per_second", {
      ...THROUGHPUT,
      help: "Gigabytes per second of each load, waiting time included.",
      answers: "How fast does a tier load objects?",
    }).on(
      "l2.transferred",
      ({ tier, direction, rate }) => direction === "load" ? [rate, { l2_name: tier }] : undefined,
    ),
    counter("lmcache_mp_timeouts_total", {
      unit: "{timeout}",
      help: "Calls to a tier that timed out.",
      answers: "Does a tier hang?",
      labels: ["exception_type"],
      zero: [{ exception_type: exceptionType.values }],
    }).on("timeout.raised", ({ count, exceptionType }) => [count, { exception_type: exceptionType }]),
  ],
};
