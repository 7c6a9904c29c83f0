import type { MetricRow } from "../table_row.ts";
import { BY_TENANT } from "./by_tenant.ts";

/** Seconds, from 1 s to 7 days. */
const AGE_BOUNDS = [1, 5, 15, 60, 300, 900, 3600, 14_400, 43_200, 86_400, 259_200, 604_800] as const;
/** Seconds, up to the cap, so that no quantile can be read above it. */
const CAPPED_BOUNDS = [1, 2.5, 5, 10, 20, 30, 60, 90, 120, 180, 240, 300] as const;
const COUNT_BOUNDS = [1, 4, 16, 64, 256, 1024, 4096, 16_384, 65_536, 262_144, 1_048_576] as const;

const SAMPLED = { kind: "histogram", unit: "s", from: ["l1.key.sampled"], labels: [], bounds: AGE_BOUNDS } as const;

/** How long objects live and how soon they come back, measured on the objects whose key's hash is a multiple of 128. */
export const lifecycleTable = {
  lmcache_mp_l1_chunk_lifetime_seconds: {
    ...SAMPLED,
    help: "Time from admission to eviction, of sampled objects.",
    answers: "How long does L1 keep an object?",
  },
  lmcache_mp_l1_chunk_idle_before_evict_seconds: {
    ...SAMPLED,
    help: "Time from the last read or admission to eviction, of sampled objects.",
    answers: "Are the objects evicted that nobody wants?",
  },
  lmcache_mp_l1_chunk_reuse_gap_seconds: {
    ...SAMPLED,
    help: "Time from one use to the next while in L1, of sampled objects.",
    answers: "How soon are objects used again?",
  },
  lmcache_mp_l1_chunk_evict_reuse_gap_seconds: {
    ...SAMPLED,
    bounds: CAPPED_BOUNDS,
    from: ["l1.key.sampled", "l1.eviction.tick"],
    help: "Time from eviction to the next admission, of sampled objects; 300 if there was none for that long.",
    answers: "Would a larger L1 pay? Small values say that objects were evicted too early.",
  },
  lmcache_mp_real_reuse_gap_seconds: {
    ...SAMPLED,
    ...BY_TENANT,
    help: "Time from one use by a client to its next read, in L1 or not in between, of sampled objects.",
    answers: "How long would an object have to be kept to be read again?",
  },
  lmcache_mp_real_reuse_gap_objects_chunks: {
    kind: "histogram",
    unit: "{chunk}",
    from: ["l1.key.sampled", "sm.read.finished", "sm.write.finished"],
    ...BY_TENANT,
    bounds: COUNT_BOUNDS,
    help: "Objects the tenant used from one use of a sampled object to its next read.",
    answers: "How many objects would have to be kept for it to be read again?",
  },
} as const satisfies Record<string, MetricRow>;
