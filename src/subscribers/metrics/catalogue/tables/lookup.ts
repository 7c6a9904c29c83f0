import type { MetricRow } from "../table_row.ts";
import { BY_TENANT } from "./by_tenant.ts";

const LOOKUP = { kind: "counter", from: ["lookup.finished"], ...BY_TENANT } as const;
const TOKENS = { ...LOOKUP, unit: "{token}" } as const;
const KEYS = { ...LOOKUP, unit: "{key}" } as const;

/** Lookups by LMCache's names. Without tokens of their own, objects count as one token each. */
export const lookupTable = {
  lmcache_mp_lookups_requests_total: {
    kind: "counter",
    unit: "{request}",
    help: "Lookups that were decided.",
    answers: "How many lookups are there?",
    from: ["lookup.finished"],
    ...BY_TENANT,
  },
  lmcache_mp_lookup_requested_tokens_total: {
    ...TOKENS,
    help: "Tokens looked up; an object counts as one token.",
    answers: "What is the denominator of the hit rate?",
  },
  lmcache_mp_lookup_hit_tokens_total: {
    ...TOKENS,
    help: "Tokens found in L1 or L2; an object counts as one token.",
    answers: "What is the hit rate? Divide its rate by that of lmcache_mp_lookup_requested_tokens_total.",
  },
  lmcache_mp_lookup_hit_l1_tokens_total: {
    ...TOKENS,
    help: "Tokens found in L1; an object counts as one token.",
    answers: "How much of the hit rate does memory earn?",
  },
  lmcache_mp_lookup_hit_l2_tokens_total: {
    ...TOKENS,
    help: "Tokens found in L2 and not in L1; an object counts as one token.",
    answers: "How much of the hit rate do the tiers earn? With L1's it is exactly all hits.",
  },
  lmcache_mp_lookup_hit_l1_keys_total: {
    ...KEYS,
    help: "Objects found in L1.",
    answers: "The same as for tokens, by object.",
  },
  lmcache_mp_lookup_hit_l2_keys_total: {
    ...KEYS,
    help: "Objects found in L2 and not in L1.",
    answers: "The same as for tokens, by object.",
  },
  lmcache_mp_num_chunks_loaded_total: {
    kind: "counter",
    unit: "{chunk}",
    help: "Objects that clients got whole.",
    answers: "How many objects go out?",
    from: ["sm.read.finished"],
    ...BY_TENANT,
  },
} as const satisfies Record<string, MetricRow>;
