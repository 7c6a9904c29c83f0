import { catalogue } from "../../../events/catalogue.ts";
import { BY_TENANT, counter, type Family, histogram, keysByTenant } from "../metric.ts";

const { during: allocationDuring } = catalogue["l1.allocation.failed"].fields;
const { during: readDuring, reason: readReason } = catalogue["l1.read.failed"].fields;
const { reason: removalReason } = catalogue["l1.removed"].fields;
const { kind: leaseKind } = catalogue["l1.lease.expired"].fields;

const BY_REASON = { labels: ["reason"], zero: [{ reason: removalReason.values }] } as const;

const keysOf = ({ keys }: { readonly keys: number }) => keys;

/** The work of the memory tier. */
export const l1Family: Family = {
  name: "metrics.l1",
  metrics: [
    counter("lmcache_mp_l1_read_keys_total", {
      unit: "{key}",
      help: "Objects whose read lease was released.",
      answers: "How many objects are read from memory?",
    }).on("l1.read.finished", keysOf),
    counter("lmcache_mp_l1_write_keys_total", {
      unit: "{key}",
      help: "Objects admitted to L1, by writes and by loads from a tier.",
      answers: "How many objects enter memory?",
    }).on("l1.write.finished", keysOf).on("l1.write_finished_and_read_reserved", keysOf),
    counter("lmcache_mp_l1_evicted_keys_total", {
      unit: "{key}",
      help: "Objects that left L1 for any reason (LMCache's meaning of evicted).",
      answers: "How many objects leave memory? vitrine_l1_removed_objects_total has the reasons.",
    }).on("l1.removed", keysOf),
    counter("lmcache_mp_l1_read_chunks_total", {
      ...BY_TENANT,
      unit: "{chunk}",
      help: "LMCache's newer name for lmcache_mp_l1_read_keys_total.",
      answers: "The same by tenant, for LMCache's stock dashboard.",
    }).on("l1.read.finished", keysByTenant),
    counter("lmcache_mp_l1_write_chunks_total", {
      ...BY_TENANT,
      unit: "{chunk}",
      help: "LMCache's newer name for lmcache_mp_l1_write_keys_total.",
      answers: "The same by tenant, for LMCache's stock dashboard.",
    }).on("l1.write.finished", keysByTenant).on("l1.write_finished_and_read_reserved", keysByTenant),
    counter("lmcache_mp_l1_evicted_chunks_total", {
      ...BY_TENANT,
      unit: "{chunk}",
      help: "LMCache's newer name for lmcache_mp_l1_evicted_keys_total.",
      answers: "The same by tenant, for LMCache's stock dashboard.",
    }).on("l1.removed", keysByTenant),
    counter("lmcache_mp_l1_eviction_loop_ticks_total", {
      unit: "{tick}",
      help: "Runs of the eviction loop.",
      answers: "Is the eviction loop running?",
    }).on("l1.eviction.tick", ({ count }) => count),
    counter("lmcache_mp_l1_eviction_loop_triggered_total", {
      unit: "{tick}",
      help: "Runs of the eviction loop that found usage at or above the high watermark.",
      answers: "How often is L1 full enough to evict?",
    }).on("l1.eviction.tick", ({ triggered, count }) => triggered === "true" ? count : undefined),
    counter("lmcache_mp_l1_allocation_failure_chunks_total", {
      unit: "{chunk}",
      help: "Objects for which L1 had no room, even after eviction.",
      answers: "Is L1 too small, or pinned by leases?",
      labels: ["during"],
      zero: [{ during: allocationDuring.values }],
    }).on("l1.allocation.failed", ({ keys, during }) => [keys, { during }]),
    counter("lmcache_mp_l1_read_failure_chunks_total", {
      unit: "{chunk}",
      help: "Objects that could not be read although a lookup had just found them.",
      answers: "Do leases and eviction work? This should stay near zero.",
      labels: ["during", "reason"],
      zero: [{ during: readDuring.values, reason: readReason.values }],
    }).on("l1.read.failed", ({ keys, during, reason }) => [keys, { during, reason }]),
    counter("vitrine_l1_removed_objects_total", {
      ...BY_REASON,
      unit: "{object}",
      help: "Objects that left L1, by reason.",
      answers: "Why do objects leave memory?",
    }).on("l1.removed", ({ keys, reason }) => [keys, { reason }]),
    counter("vitrine_l1_removed_bytes_total", {
      ...BY_REASON,
      unit: "By",
      help: "Bytes of the objects that left L1, by reason.",
      answers: "How fast does memory turn over, and why?",
    }).on("l1.removed", ({ bytes, reason }) => [bytes, { reason }]),
    counter("vitrine_quota_refused_objects_total", {
      ...BY_TENANT,
      unit: "{object}",
      help: "Writes that were refused because the tenant's strict quota of L1 leaves no room for them.",
      answers: "Which tenant needs a larger quota, or has to delete something?",
    }).on("l1.quota.refused", keysByTenant),
    counter("vitrine_quota_evicted_objects_total", {
      ...BY_TENANT,
      unit: "{object}",
      help: "Objects evicted from L1 because their tenant used more than its quota.",
      answers: "Which tenant outgrows its quota?",
    }).on("l1.removed", (event) => event.reason === "quota" ? keysByTenant(event) : undefined),
    counter("vitrine_l1_lease_expired_total", {
      unit: "{lease}",
      help: "Leases that expired before their holder released them.",
      answers: "Do holders hang or die?",
      labels: ["kind"],
      zero: [{ kind: leaseKind.values }],
    }).on("l1.lease.expired", ({ keys, kind }) => [keys, { kind }]),
  ],
};

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
