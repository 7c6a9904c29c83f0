import type { Delivered } from "../../../events/subscriber.ts";
import { catalogue, LATENCY_BOUNDS } from "../../../events/catalogue.ts";
import { BY_TENANT, counter, type Family, gauge, histogram, keysByTenant } from "../metric.ts";

const ended = catalogue["sm.prefetch.ended"].fields;

/** The names of the outcomes of keys, by the fields of the event. */
const KEYS_OF = {
  hit: "hit",
  loaded: "loaded",
  miss: "missing",
  notAttempted: "not_attempted",
  noRoom: "refused_no_room",
  failed: "failed",
} as const;

/** Requests to the storage manager: the six sm_* counters of LMCache's original design. */
export const smFamily: Family = {
  name: "metrics.sm",
  metrics: [
    counter("lmcache_mp_sm_read_requests_total", {
      unit: "{request}",
      help: "Read requests that looked in L1.",
      answers: "How many reads are there?",
    }).on("sm.read.prefetched", ({ count }) => count),
    counter("lmcache_mp_sm_read_succeed_keys_total", {
      unit: "{key}",
      help: "Keys that L1 could serve immediately.",
      answers: "How many reads does memory serve?",
    }).on("sm.read.prefetched", ({ succeeded }) => succeeded),
    counter("lmcache_mp_sm_read_failed_keys_total", {
      unit: "{key}",
      help: "Keys that L1 could not serve; an L2 tier may have them.",
      answers: "How many reads does memory not serve?",
    }).on("sm.read.prefetched", ({ failed }) => failed),
    counter("lmcache_mp_sm_write_requests_total", {
      unit: "{request}",
      help: "Write requests that asked for room.",
      answers: "How many writes are there?",
    }).on("sm.write.reserved", ({ count }) => count),
    counter("lmcache_mp_sm_write_succeed_keys_total", {
      unit: "{key}",
      help: "Keys that got room.",
      answers: "How many writes got room?",
    }).on("sm.write.reserved", ({ succeeded }) => succeeded),
    counter("lmcache_mp_sm_write_failed_keys_total", {
      unit: "{key}",
      help: "Keys that were refused room.",
      answers: "How many writes were refused?",
    }).on("sm.write.reserved", ({ failed }) => failed),
  ],
};

type Looked = Delivered<"lookup.finished">;

const hits = (event: Looked) => event.result === "hit" ? keysByTenant(event) : undefined;
const l1Hits = (event: Looked) => event.tier === "l1" ? hits(event) : undefined;
const l2Hits = (event: Looked) => event.tier === "l1" ? undefined : hits(event);

/** Requests about many keys. They are no lookups of objects: those follow, or do not. */
export const manyKeysFamily: Family = {
  name: "metrics.many_keys",
  metrics: [
    counter("vitrine_prefix_lookups_total", {
      ...BY_TENANT,
      unit: "{request}",
      help: "Requests to /v1/lookup that were answered.",
      answers: "How often do engines ask for a prefix?",
    }).on("sm.keys.looked_up", ({ count, tenant }) => [count, { cache_salt: tenant }]),
    counter("vitrine_prefix_lookup_l1_keys_total", {
      unit: "{key}",
      help: "Keys in requests to /v1/lookup that L1 had.",
      answers: "How much of what engines ask for is in memory?",
    }).on("sm.keys.looked_up", ({ l1Keys }) => l1Keys),
    counter("vitrine_prefix_lookup_l2_keys_total", {
      unit: "{key}",
      help: "Keys in requests to /v1/lookup that a tier had, and L1 had not.",
      answers: "How much of what engines ask for do only the tiers have?",
    }).on("sm.keys.looked_up", ({ l2Keys }) => l2Keys),
    counter("vitrine_prefix_lookup_missing_keys_total", {
      unit: "{key}",
      help: "Keys in requests to /v1/lookup that no level had.",
      answers: "How much of what engines ask for is not here?",
    }).on("sm.keys.looked_up", ({ missingKeys }) => missingKeys),
    counter("vitrine_prefix_lookup_unknown_keys_total", {
      unit: "{key}",
      help: "Keys in requests to /v1/lookup that no level had, and about which a tier could not answer.",
      answers: "Do engines compute again what a failing tier may have?",
    }).on("sm.keys.looked_up", ({ unknownKeys }) => unknownKeys),
    counter("vitrine_prefix_lookup_requested_tokens_total", {
      ...BY_TENANT,
      unit: "{token}",
      help: "Tokens of the keys in requests to /v1/lookup; a key counts as one unless the request says otherwise.",
      answers: "What is the denominator of the hit rate of prefixes?",
    }).on("sm.keys.looked_up", ({ tokens, tenant }) => [tokens, { cache_salt: tenant }]),
    counter("vitrine_prefix_lookup_hit_l1_tokens_total", {
      ...BY_TENANT,
      unit: "{token}",
      help: "Tokens of the leading keys that L1 had.",
      answers: "How much of the hit rate of prefixes comes from memory?",
    }).on("sm.keys.looked_up", ({ l1Tokens, tenant }) => [l1Tokens, { cache_salt: tenant }]),
    counter("vitrine_prefix_lookup_hit_l2_tokens_total", {
      ...BY_TENANT,
      unit: "{token}",
      help: "Tokens of the leading keys that L1 and the tiers had, beyond those that L1 alone had.",
      answers: "How much of the hit rate of prefixes comes from the tiers? L1's and these add up to all hits.",
    }).on("sm.keys.looked_up", ({ l2Tokens, tenant }) => [l2Tokens, { cache_salt: tenant }]),
  ],
};

/** Leases of clients on objects in L1. */
export const leaseFamily: Family = {
  name: "metrics.leases",
  metrics: [
    counter("vitrine_lease_taken_objects_total", {
      unit: "{object}",
      help: "Objects leased by lookups.",
      answers: "How much do engines ask to keep?",
    }).on("l1.hold.taken", ({ keys }) => keys),
    counter("vitrine_lease_released_objects_total", {
      unit: "{object}",
      help: "Leased objects whose lease was released.",
      answers: "Do engines release what they have leased?",
    }).on("l1.hold.released", ({ keys }) => keys),
    counter("vitrine_lease_expired_objects_total", {
      unit: "{object}",
      help: "Leased objects whose lease ended with its time, or with the worker that gave it.",
      answers: "Are leases too short, or forgotten? Taken is released and expired, and what is leased now.",
    }).on("l1.hold.expired", ({ keys }) => keys),
    counter("vitrine_lease_refused_objects_total", {
      unit: "{object}",
      help: "Objects that were not leased, because all leases together take their share of L1.",
      answers: "Is L1 too small for what engines lease?",
    }).on("sm.lease.refused", ({ keys }) => keys),
  ],
};

/** Jobs that bring objects into L1. Their lookups and loads are in the metrics of the tiers. */
export const prefetchFamily: Family = {
  name: "metrics.prefetch",
  metrics: [
    gauge("vitrine_prefetch_jobs", {
      unit: "{job}",
      help: "Prefetch jobs that run.",
      answers: "How near is --prefetch-jobs, beyond which they are refused?",
    }).read("prefetchJobs", (jobs) => jobs),
    counter("vitrine_prefetch_jobs_total", {
      unit: "{job}",
      help: "Prefetch jobs that ended, by outcome.",
      answers: "Are deadlines too short, or tiers too slow?",
      labels: ["outcome"],
      zero: [{ outcome: ended.outcome.values }],
    }).on("sm.prefetch.ended", ({ count, outcome }) => [count, { outcome }]),
    ...([
      ["hit", "Keys of prefetch jobs that L1 had.", "How much of what engines prefetch is in memory already?"],
      ["loaded", "Keys of prefetch jobs that were loaded into L1.", "How much do prefetches bring?"],
      ["miss", "Keys of prefetch jobs that no level had.", "How much do engines prefetch in vain?"],
      ["notAttempted", "Keys of prefetch jobs of which no load was begun.", "Do jobs end too early?"],
      ["noRoom", "Keys of prefetch jobs for which there was no room in L1, or no lease.", "Is L1 too small?"],
      ["failed", "Keys of prefetch jobs that a tier could not give in time.", "Do tiers fail prefetches?"],
    ] as const).map(([field, help, answers]) =>
      counter(`vitrine_prefetch_${KEYS_OF[field]}_keys_total`, { unit: "{key}", help, answers })
        .on("sm.prefetch.ended", (job) => job[field])
    ),
    histogram("vitrine_prefetch_duration_seconds", {
      unit: "s",
      help: "Time from the beginning of a prefetch job to its end.",
      answers: "How long do engines wait for a prefetch?",
      bounds: LATENCY_BOUNDS,
    }).on("sm.prefetch.ended", ({ seconds }) => seconds),
  ],
};

/** Lookups by LMCache's names. An object counts as one token. */
export const lookupFamily: Family = {
  name: "metrics.lookup",
  metrics: [
    counter("lmcache_mp_lookups_requests_total", {
      ...BY_TENANT,
      unit: "{request}",
      help: "Lookups that were answered.",
      answers: "How many lookups are there?",
    }).on("lookup.finished", ({ count, tenant }) => [count, { cache_salt: tenant }]),
    counter("lmcache_mp_lookup_requested_tokens_total", {
      ...BY_TENANT,
      unit: "{token}",
      help: "Tokens looked up; an object counts as one token.",
      answers: "What is the denominator of the hit rate?",
    }).on("lookup.finished", keysByTenant),
    counter("lmcache_mp_lookup_hit_tokens_total", {
      ...BY_TENANT,
      unit: "{token}",
      help: "Tokens found in L1 or L2; an object counts as one token.",
      answers: "What is the hit rate? Divide its rate by that of lmcache_mp_lookup_requested_tokens_total.",
    }).on("lookup.finished", hits),
    counter("lmcache_mp_lookup_hit_l1_tokens_total", {
      ...BY_TENANT,
      unit: "{token}",
      help: "Tokens found in L1; an object counts as one token.",
      answers: "How much of the hit rate comes from memory?",
    }).on("lookup.finished", l1Hits),
    counter("lmcache_mp_lookup_hit_l2_tokens_total", {
      ...BY_TENANT,
      unit: "{token}",
      help: "Tokens found in L2 and not in L1; an object counts as one token.",
      answers: "How much of the hit rate comes from the tiers? L1's hits and these add up to all hits.",
    }).on("lookup.finished", l2Hits),
    counter("lmcache_mp_lookup_hit_l1_keys_total", {
      ...BY_TENANT,
      unit: "{key}",
      help: "Objects found in L1.",
      answers: "The same as for tokens, by object.",
    }).on("lookup.finished", l1Hits),
    counter("lmcache_mp_lookup_hit_l2_keys_total", {
      ...BY_TENANT,
      unit: "{key}",
      help: "Objects found in L2 and not in L1.",
      answers: "The same as for tokens, by object.",
    }).on("lookup.finished", l2Hits),
    counter("lmcache_mp_num_chunks_loaded_total", {
      ...BY_TENANT,
      unit: "{chunk}",
      help: "Objects that clients received completely.",
      answers: "How many objects do clients receive?",
    }).on("sm.read.finished", keysByTenant),
  ],
};
