import { BY_TENANT, type Family, histogram } from "../metric.ts";

/** Seconds, from 1 s to 7 days. */
const AGE_BOUNDS = [1, 5, 15, 60, 300, 900, 3600, 14_400, 43_200, 86_400, 259_200, 604_800] as const;
/** Seconds, up to the cap, so that no quantile can be read above it. */
const CAPPED_BOUNDS = [1, 2.5, 5, 10, 20, 30, 60, 90, 120, 180, 240, 300] as const;
const COUNT_BOUNDS = [1, 4, 16, 64, 256, 1024, 4096, 16_384, 65_536, 262_144, 1_048_576] as const;

/** Lifetimes in L1 and times until objects come back, measured on those whose key's hash is a multiple of 128. */
export const livesFamily: Family = {
  name: "metrics.l1_lifecycle",
  metrics: [
    histogram("lmcache_mp_l1_chunk_lifetime_seconds", {
      unit: "s",
      help: "Time from admission to eviction, of sampled objects.",
      answers: "How long does L1 keep an object?",
      bounds: AGE_BOUNDS,
    }).onEach("l1.key.sampled", (event, { lives }) => lives.at(event).lifetime),
    histogram("lmcache_mp_l1_chunk_idle_before_evict_seconds", {
      unit: "s",
      help: "Time from the last read or admission to eviction, of sampled objects.",
      answers: "Are the objects evicted that nobody wants?",
      bounds: AGE_BOUNDS,
    }).onEach("l1.key.sampled", (event, { lives }) => lives.at(event).idle),
    histogram("lmcache_mp_l1_chunk_reuse_gap_seconds", {
      unit: "s",
      help: "Time from one use to the next while in L1, of sampled objects.",
      answers: "How soon are objects used again?",
      bounds: AGE_BOUNDS,
    }).onEach("l1.key.sampled", (event, { lives }) => lives.at(event).gap),
    histogram("lmcache_mp_l1_chunk_evict_reuse_gap_seconds", {
      unit: "s",
      help: "Time from eviction to the next admission, of sampled objects; 300 if there was none for that long.",
      answers: "Would a larger L1 pay? Small values say that objects were evicted too early.",
      bounds: CAPPED_BOUNDS,
    })
      .onEach("l1.key.sampled", (event, { lives }) => lives.at(event).evictGaps)
      .on("l1.eviction.tick", (_event, { lives }) => lives.givenUp()),
  ],
};

/** The distance between a tenant's uses of one object, measured on the same objects. */
export const reuseFamily: Family = {
  name: "metrics.reuse",
  metrics: [
    histogram("lmcache_mp_real_reuse_gap_seconds", {
      ...BY_TENANT,
      unit: "s",
      help: "Time from one use by a client to its next read, in L1 or not in between, of sampled objects.",
      answers: "How long would an object have to be kept to be read again?",
      bounds: AGE_BOUNDS,
    }).onEach("l1.key.sampled", (event, { uses }) => {
      const gap = uses.at(event);
      return gap && [gap.seconds, { cache_salt: event.tenant }];
    }),
    histogram("lmcache_mp_real_reuse_gap_objects_chunks", {
      ...BY_TENANT,
      unit: "{chunk}",
      help: "Objects the tenant used from one use of a sampled object to its next read.",
      answers: "How many objects would have to be kept for it to be read again?",
      bounds: COUNT_BOUNDS,
    })
      .onEach("l1.key.sampled", (event, { uses }) => {
        const gap = uses.at(event);
        return gap && [gap.objects, { cache_salt: event.tenant }];
      })
      .on("sm.read.finished", ({ tenant, keys }, { uses }) => uses.count(tenant, keys))
      .on(
        "sm.write.finished",
        ({ tenant, keys, outcome }, { uses }) => outcome === "stored" ? uses.count(tenant, keys) : undefined,
      ),
  ],
};
