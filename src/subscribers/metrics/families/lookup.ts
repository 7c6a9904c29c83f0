import type { Delivered } from "../../../events/subscriber.ts";
import { BY_TENANT, counter, type Family, keysByTenant } from "../metric.ts";

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
