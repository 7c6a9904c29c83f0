import { catalogue, COUNT_BOUNDS, LATENCY_BOUNDS } from "../../../events/catalogue.ts";
import { BY_TENANT, counter, type Family, histogram, inFlight, keysByTenant } from "../metric.ts";
const { outcome: storeOutcome } = catalogue["l2.store.completed"].fields;
const { outcome: loadOutcome } = catalogue["l2.load.completed"].fields;
const { outcome: lookupOutcome } = catalogue["l2.lookup.completed"].fields;
const { outcome: manyOutcome } = catalogue["l2.lookup_many.completed"].fields;
const { outcome: deleteOutcome } = catalogue["l2.delete.completed"].fields;
const { reason } = catalogue["l2.removed"].fields;
const { scope } = catalogue["l2.changed_elsewhere"].fields;

const BY_NAME = { labels: ["l2_name"], zero: [{ l2_name: "adapters" }] } as const;
const BY_REASON = { labels: ["tier", "reason"], zero: [{ tier: "adapters", reason: reason.values }] } as const;

type Op = "store" | "load" | "lookup" | "lookup_many" | "delete";

/** Counts calls of a kind by their outcome. */
const calls = (op: Op) => (call: { readonly tier: string; readonly outcome: string; readonly count: number }) =>
  [call.count, { tier: call.tier, op, outcome: call.outcome }] as const;
/** Measures the time of calls of a kind. */
const timeOf = (op: Op) => ({ tier, seconds }: { readonly tier: string; readonly seconds: number }) =>
  [seconds, { tier, op }] as const;
/** Counts the bytes of calls of a kind. */
const bytesOf = (op: Op) => ({ tier, bytes }: { readonly tier: string; readonly bytes: number }) =>
  [bytes, { tier, op }] as const;

/** The work of the L2 tiers. */
export const l2Family: Family = {
  name: "metrics.l2",
  metrics: [
    counter("lmcache_mp_l2_store_submitted_requests_total", {
      unit: "{request}",
      help: "Stores that began.",
      answers: "How much is stored?",
    }).on("l2.store.submitted", ({ count }) => count),
    counter("lmcache_mp_l2_store_submitted_objects_chunks_total", {
      ...BY_TENANT,
      unit: "{chunk}",
      help: "Objects in the stores that began.",
      answers: "How many objects are stored?",
    }).on("l2.store.submitted", keysByTenant),
    counter("lmcache_mp_l2_store_completed_requests_total", {
      ...BY_NAME,
      unit: "{request}",
      help: "Stores that ended, successful or not.",
      answers: "Does every store finish?",
    }).on("l2.store.completed", ({ count, tier }) => [count, { l2_name: tier }]),
    counter("lmcache_mp_l2_store_completed_objects_chunks_total", {
      ...BY_TENANT,
      unit: "{chunk}",
      help: "Objects that a tier stored.",
      answers: "How many objects reach L2?",
    }).on("l2.store.completed", (store) => store.outcome === "ok" ? keysByTenant(store) : undefined),
    counter("lmcache_mp_l2_load_completed_requests_total", {
      ...BY_NAME,
      unit: "{request}",
      help: "Loads that ended, successful or not.",
      answers: "How much is read from each tier?",
    }).on("l2.load.completed", ({ count, tier }) => [count, { l2_name: tier }]),
    counter("lmcache_mp_l2_evicted_objects_chunks_total", {
      ...BY_TENANT,
      unit: "{chunk}",
      help: "Objects evicted from a tier to keep it under its limit.",
      answers: "Are the tiers too small?",
    }).on("l2.removed", (removed) => removed.reason === "capacity" ? keysByTenant(removed) : undefined),
    inFlight("lmcache_mp_num_inflight_l2_stores", {
      unit: "{request}",
      help: "Stores in progress.",
      answers: "Does a tier fall behind with stores?",
      labels: ["l2_name", "adapter_index"],
    })
      .on("l2.store.submitted", ({ count, tier }) => [count, { tier }])
      .on("l2.store.completed", ({ count, tier }) => [-count, { tier }]),
    counter("vitrine_l2_requests_total", {
      unit: "{request}",
      help:
        "Calls to a tier, by operation and outcome. lookup_many: one call for up to 1000 keys, whatever number of requests it costs the tier.",
      answers: "Does a tier fail?",
      labels: ["tier", "op", "outcome"],
      zero: [
        { tier: "adapters", op: ["store"], outcome: storeOutcome.values },
        { tier: "adapters", op: ["load"], outcome: loadOutcome.values },
        { tier: "adapters", op: ["lookup"], outcome: lookupOutcome.values },
        { tier: "adapters", op: ["lookup_many"], outcome: manyOutcome.values },
        { tier: "adapters", op: ["delete"], outcome: deleteOutcome.values },
      ],
    })
      .on("l2.store.completed", calls("store"))
      .on("l2.load.completed", calls("load"))
      .on("l2.lookup.completed", calls("lookup"))
      .on("l2.lookup_many.completed", calls("lookup_many"))
      .on("l2.delete.completed", calls("delete")),
    histogram("vitrine_l2_duration_seconds", {
      unit: "s",
      help: "Duration of calls to a tier, whatever their outcome.",
      answers: "How fast is a tier?",
      labels: ["tier", "op"],
      bounds: LATENCY_BOUNDS,
    })
      .on("l2.store.completed", timeOf("store"))
      .on("l2.load.completed", timeOf("load"))
      .on("l2.lookup.completed", timeOf("lookup"))
      .on("l2.lookup_many.completed", timeOf("lookup_many"))
      .on("l2.delete.completed", timeOf("delete")),
    counter("vitrine_l2_bytes_total", {
      unit: "By",
      help: "Payload bytes stored to or loaded from a tier.",
      answers: "How much data moves between memory and the tiers?",
      labels: ["tier", "op"],
      zero: [{ tier: "adapters", op: ["store", "load"] }],
    }).on("l2.store.completed", bytesOf("store")).on("l2.load.completed", bytesOf("load")),
    counter("vitrine_l2_removed_objects_total", {
      ...BY_REASON,
      unit: "{object}",
      help: "Objects that left a tier, by reason.",
      answers: "Why do objects leave a tier? The reason corrupt should stay at zero.",
    }).on("l2.removed", ({ keys, tier, reason }) => [keys, { tier, reason }]),
    counter("vitrine_l2_damaged_objects_total", {
      unit: "{object}",
      help: "Objects found damaged, and removed; scrub: by the scrubber; read: by anybody else, or by the tier itself.",
      answers: "Does a disk damage objects? The log has the hashes of their keys.",
      labels: ["tier", "found"],
      zero: [{ tier: "adapters", found: ["scrub", "read"] }],
    }).on("l2.damaged", ({ count, tier, found }) => [count, { tier, found }]),
    counter("vitrine_l2_scrubbed_objects_total", {
      unit: "{object}",
      help:
        "Objects that the scrubber has read, by outcome; damaged: removed; gone: it left the tier before; failed: it could not be read.",
      answers: "How often is a tier read as a whole?",
      labels: ["tier", "outcome"],
      zero: [{ tier: "adapters", outcome: ["intact", "damaged", "gone", "failed"] }],
    }).on("l2.scrubbed", ({ keys, tier, outcome }) => [keys, { tier, outcome }]),
    counter("vitrine_l2_scrubbed_bytes_total", {
      unit: "By",
      help: "Bytes that the scrubber has read.",
      answers: "How much of a tier's disk does the scrubber read?",
      labels: ["tier"],
      zero: [{ tier: "adapters" }],
    }).on("l2.scrubbed", ({ bytes, tier }) => [bytes, { tier }]),
    counter("vitrine_l2_removed_bytes_total", {
      ...BY_REASON,
      unit: "By",
      help: "Bytes of the objects that left a tier, as they were stored, by reason.",
      answers: "How fast does a tier turn over, and why?",
    }).on("l2.removed", ({ bytes, tier, reason }) => [bytes, { tier, reason }]),
    counter("vitrine_l2_changed_elsewhere_total", {
      unit: "{change}",
      help:
        "Changes of a shared tier by other servers, whose copies were dropped here; key: one object; tenant: a tenant's objects were cleared; any: all were cleared, or changes were missed.",
      answers: "How much do other servers overwrite and delete? Was the log of changes lost (any)?",
      labels: ["tier", "scope"],
      zero: [{ tier: "adapters", scope: scope.values }],
    }).on("l2.changed_elsewhere", ({ count, tier, scope }) => [count, { tier, scope }]),
    histogram("vitrine_l2_change_lag_seconds", {
      unit: "s",
      help:
        "Time from a change by another server to its notice here, by the engine's clock; for a bucket at most that: since the copy that was dropped was last known to be current.",
      answers: "For how long can L1 serve what another server has replaced?",
      labels: ["tier"],
      zero: [{ tier: "adapters" }],
      bounds: LATENCY_BOUNDS,
    }).on("l2.changed_elsewhere", ({ tier, scope, seconds }) => scope === "any" ? undefined : [seconds, { tier }]),
  ],
};

const BY_TIER = { labels: ["tier"], zero: [{ tier: "adapters" }] } as const;

/** Commits and cleaning up in the folders of file tiers. */
export const l2CommitsFamily: Family = {
  name: "metrics.l2_commits",
  metrics: [
    histogram("vitrine_l2_commit_changes", {
      ...BY_TIER,
      unit: "{change}",
      help:
        "Changes per commit of a tier: objects stored, deleted or found damaged. The count is the number of commits.",
      answers: "How many changes share a write, a sync and a transaction?",
      bounds: COUNT_BOUNDS,
    }).on("l2.committed", ({ changes, tier }) => [changes, { tier }]),
    histogram("vitrine_l2_commit_duration_seconds", {
      ...BY_TIER,
      unit: "s",
      help: "Duration of a tier's commits.",
      answers: "How long does a commit delay the next one?",
      bounds: LATENCY_BOUNDS,
    }).on("l2.commit.timed", ({ part, seconds, tier }) => part === "commit" ? [seconds, { tier }] : undefined),
    histogram("vitrine_l2_commit_sync_duration_seconds", {
      ...BY_TIER,
      unit: "s",
      help:
        "Time that a commit of a tier waits for stable storage. Only commits with a durable change wait, and with fsync=off hardly at all.",
      answers: "How fast are syncs of the disk, and how many are there?",
      bounds: LATENCY_BOUNDS,
    }).on("l2.commit.timed", ({ part, seconds, tier }) => part === "sync" ? [seconds, { tier }] : undefined),
    counter("vitrine_l2_reclaimed_bytes_total", {
      ...BY_TIER,
      unit: "By",
      help: "Bytes of the segments that a tier dropped.",
      answers: "How fast is the room of dead objects reclaimed?",
    }).on("l2.reclaimed", ({ bytes, tier }) => [bytes, { tier }]),
    counter("vitrine_l2_reclaim_copied_bytes_total", {
      ...BY_TIER,
      unit: "By",
      help: "Bytes of live objects that a tier copied out of segments before it dropped them.",
      answers: "How much does reclaiming cost? If this is near the bytes reclaimed, the tier is too full.",
    }).on("l2.reclaimed", ({ copiedBytes, tier }) => [copiedBytes, { tier }]),
    counter("vitrine_l2_cleanup_failures_total", {
      ...BY_TIER,
      unit: "{failure}",
      help:
        "Failures of a tier to remove a file that is no longer needed or to clean up its folder. The tier tries again.",
      answers: "Do unneeded files stay on the disk? The log has the reason.",
    }).on("l2.cleanup_failed", ({ count, tier }) => [count, { tier }]),
  ],
};
