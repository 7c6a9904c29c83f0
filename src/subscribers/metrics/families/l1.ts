import { catalogue } from "../../../events/catalogue.ts";
import { BY_TENANT, counter, type Family, keysByTenant } from "../metric.ts";

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
    counter("vitrine_l1_lease_expired_total", {
      unit: "{lease}",
      help: "Leases that expired before their holder released them.",
      answers: "Do holders hang or die?",
      labels: ["kind"],
      zero: [{ kind: leaseKind.values }],
    }).on("l1.lease.expired", ({ keys, kind }) => [keys, { kind }]),
  ],
};
