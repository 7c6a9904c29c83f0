import { BY_TENANT, type Family, histogram } from "../metric.ts";

/** Seconds, from 1 s to 7 days. */
const AGE_BOUNDS = [1, 5, 15, 60, 300, 900, 3600, 14_400, 43_200, 86_400, 259_200, 604_800] as const;
/** Seconds, up to the cap, so that no quantile can be read above it. */
const CAPPED_BOUNDS = [1, 2.5, 5, 10, 20, 30, 60, 90, 120, 180, 240, 300] as const;
const COUNT_BOUNDS = [1, 4, 16, 64, 256, 1024, 4096, 16_384, 65_536, 262_144, 1_048_576] as const;

/** Lifetimes in L1 and times until objects return, measured on objects whose key hash is a multiple of 128. */
export const livesFamily: Family = {
  name: "metrics.l1_lifecycle",
  metrics: [
    histogram("lmcache_mp_l1_chunk_lifetime_seconds", {
      unit: "s",
      help: "Time from admission to eviction, for sampled objects.",
      answers: "How long does L1 keep an object?",
      bounds: AGE_BOUNDS,
    }).onEach("l1.key.sampled", (event, { lives }) => lives.at(event).lifetime),
    histogram("lmcache_mp_l1_chunk_idle_before_evict_seconds", {
      unit: "s",
      help: "Time from the last read or admission to eviction, for sampled objects.",
      answers: "Does eviction choose objects that nobody reads any more?",
      bounds: AGE_BOUNDS,
    }).onEach("l1.key.sampled", (event, { lives }) => lives.at(event).idle),
    histogram("lmcache_mp_l1_chunk_reuse_gap_seconds", {
      unit: "s",
      help: "Time from one use to the next while in L1, for sampled objects.",
      answers: "How soon are objects used again?",
      bounds: AGE_BOUNDS,
    }).onEach("l1.key.sampled", (event, { lives }) => lives.at(event).gap),
    histogram("lmcache_mp_l1_chunk_evict_reuse_gap_seconds", {
      unit: "s",
      help: "Time from eviction to the next admission, for sampled objects; 300 if there was none within 300 s.",
      answers: "Would a larger L1 help? Small values mean that objects were evicted too early.",
      bounds: CAPPED_BOUNDS,
    })
      .onEach("l1.key.sampled", (event, { lives }) => lives.at(event).evictGaps)
      .on("l1.eviction.tick", (_event, { lives }) => lives.givenUp()),
  ],
};

/** The distance between a tenant's uses of an object, measured on the same sampled objects. */
export const reuseFamily: Family = {
  name: "metrics.reuse",
  metrics: [
    histogram("lmcache_mp_real_reuse_gap_seconds", {
      ...BY_TENANT,
      unit: "s",
      help:
        "Time from one use by a client to the next read, whether or not the object stayed in L1, for sampled objects.",
      answers: "How long would a cache have to keep an object until it is read again?",
      bounds: AGE_BOUNDS,
    }).onEach("l1.key.sampled", (event, { uses }) => {
      const gap = uses.at(event);
      return gap && [gap.seconds, { cache_salt: event.tenant }];
    }),
    histogram("lmcache_mp_real_reuse_gap_objects_chunks", {
      ...BY_TENANT,
      unit: "{chunk}",
      help: "Objects that the tenant used between one use of a sampled object and its next read.",
      answers: "How many objects would a cache have to keep until one is read again?",
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
