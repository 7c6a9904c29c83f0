import { catalogue, RATE_BOUNDS } from "../../../events/catalogue.ts";
import { BY_TENANT, counter, type Family, gauge, histogram, inFlight, keysByTenant } from "../metric.ts";

const { exceptionType } = catalogue["timeout.raised"].fields;

const BY_ADAPTER = { labels: ["l2_name", "adapter_index"] } as const;

/** Reads that go past L1, by LMCache's names: there a prefetch, here each read that L1 cannot serve. */
export const l2PrefetchFamily: Family = {
  name: "metrics.l2_prefetch",
  metrics: [
    // The first tier is asked in every round, the others only after a miss.
    counter("lmcache_mp_l2_prefetch_lookup_requests_total", {
      unit: "{request}",
      help: "Rounds in which the tiers were asked for an object, counted at the first tier.",
      answers: "How often is L2 asked?",
    }).on("l2.lookup.completed", ({ tier, count }, { adapters: [first] }) => tier === first ? count : undefined),
    counter("lmcache_mp_l2_prefetch_lookup_objects_chunks_total", {
      ...BY_TENANT,
      unit: "{chunk}",
      help: "Objects that the tiers were asked for, counted at the first tier.",
      answers: "Whose reads go past memory?",
    }).on(
      "l2.lookup.completed",
      (lookup, { adapters: [first] }) => lookup.tier === first ? keysByTenant(lookup) : undefined,
    ),
    counter("lmcache_mp_l2_prefetch_hit_chunks_total", {
      unit: "{chunk}",
      help: "Objects that a tier said it has.",
      answers: "How many of the objects asked for are in L2?",
    }).on("l2.lookup.completed", ({ outcome, keys }) => outcome === "hit" ? keys : undefined),
    counter("lmcache_mp_l2_prefetch_load_submitted_requests_total", {
      unit: "{request}",
      help: "Loads that began.",
      answers: "How much is loaded?",
    }).on("l2.load.submitted", ({ count }) => count),
    counter("lmcache_mp_l2_prefetch_load_submitted_objects_chunks_total", {
      ...BY_TENANT,
      unit: "{chunk}",
      help: "Objects in the loads that began.",
      answers: "For whom is loaded?",
    }).on("l2.load.submitted", keysByTenant),
    counter("lmcache_mp_l2_prefetch_load_completed_chunks_total", {
      ...BY_TENANT,
      unit: "{chunk}",
      help: "Objects loaded whole.",
      answers: "How many objects come out of L2?",
    }).on("l2.load.completed", (load) => load.outcome === "ok" ? keysByTenant(load) : undefined),
    counter("lmcache_mp_l2_prefetch_failure_chunks_total", {
      unit: "{chunk}",
      help:
        "Objects that could not be loaded into L1: no room (they are streamed past it), or the tier failed half-way.",
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
      help: "Loads that have begun and not ended.",
      answers: "How much is being loaded now?",
    })
      .on("l2.load.submitted", ({ count, tier }) => [count, { tier }])
      .on("l2.load.completed", ({ count, tier }) => [-count, { tier }]),
    inFlight("lmcache_mp_num_inflight_l2_loads", {
      ...BY_ADAPTER,
      unit: "{request}",
      help: "Loads that have begun and not ended.",
      answers: "Does a tier fall behind with loading?",
    })
      .on("l2.load.submitted", ({ count, tier }) => [count, { tier }])
      .on("l2.load.completed", ({ count, tier }) => [-count, { tier }]),
    inFlight("lmcache_mp_inflight_load_memory_usage_bytes", {
      ...BY_ADAPTER,
      unit: "By",
      help: "Bytes of the loads that have begun and not ended.",
      answers: "How much memory may running loads hold?",
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
  zero: [{ l2_name: "adapters" }],
  bounds: RATE_BOUNDS,
} as const;

/** The speed of objects between L1 and each tier, and the calls that took too long, by LMCache's names. */
export const l2ThroughputFamily: Family = {
  name: "metrics.l2_throughput",
  metrics: [
    histogram("lmcache_mp_l2_store_throughput_GB_per_second", {
      ...THROUGHPUT,
      help: "Gigabytes a second of each store, waiting included.",
      answers: "How fast does a tier take objects?",
    }).on(
      "l2.transferred",
      ({ tier, direction, rate }) => direction === "store" ? [rate, { l2_name: tier }] : undefined,
    ),
    histogram("lmcache_mp_l2_load_throughput_GB_per_second", {
      ...THROUGHPUT,
      help: "Gigabytes a second of each load, waiting included.",
      answers: "How fast does a tier give objects?",
    }).on(
      "l2.transferred",
      ({ tier, direction, rate }) => direction === "load" ? [rate, { l2_name: tier }] : undefined,
    ),
    counter("lmcache_mp_timeouts_total", {
      unit: "{timeout}",
      help: "Calls given up because they took too long.",
      answers: "Does a tier hang?",
      labels: ["exception_type"],
      zero: [{ exception_type: exceptionType.values }],
    }).on("timeout.raised", ({ count, exceptionType }) => [count, { exception_type: exceptionType }]),
  ],
};
