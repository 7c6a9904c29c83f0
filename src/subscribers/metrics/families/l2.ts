import { catalogue, LATENCY_BOUNDS } from "../../../events/catalogue.ts";
import { BY_TENANT, counter, type Family, histogram, inFlight, keysByTenant } from "../metric.ts";

const { outcome: storeOutcome } = catalogue["l2.store.completed"].fields;
const { outcome: loadOutcome } = catalogue["l2.load.completed"].fields;
const { outcome: lookupOutcome } = catalogue["l2.lookup.completed"].fields;
const { outcome: deleteOutcome } = catalogue["l2.delete.completed"].fields;
const { reason } = catalogue["l2.removed"].fields;

const BY_NAME = { labels: ["l2_name"], zero: [{ l2_name: "adapters" }] } as const;
const BY_REASON = { labels: ["tier", "reason"], zero: [{ tier: "adapters", reason: reason.values }] } as const;

type Op = "store" | "load" | "lookup" | "delete";

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
      help: "Stores handed to a tier.",
      answers: "How much is stored?",
    }).on("l2.store.submitted", ({ count }) => count),
    counter("lmcache_mp_l2_store_submitted_objects_chunks_total", {
      ...BY_TENANT,
      unit: "{chunk}",
      help: "Objects in the stores handed to a tier.",
      answers: "How many objects are stored?",
    }).on("l2.store.submitted", keysByTenant),
    counter("lmcache_mp_l2_store_completed_requests_total", {
      ...BY_NAME,
      unit: "{request}",
      help: "Stores that ended, well or not.",
      answers: "Does every store end?",
    }).on("l2.store.completed", ({ count, tier }) => [count, { l2_name: tier }]),
    counter("lmcache_mp_l2_store_completed_objects_chunks_total", {
      ...BY_TENANT,
      unit: "{chunk}",
      help: "Objects that a tier has stored.",
      answers: "How many objects arrive in L2?",
    }).on("l2.store.completed", (store) => store.outcome === "ok" ? keysByTenant(store) : undefined),
    counter("lmcache_mp_l2_load_completed_requests_total", {
      ...BY_NAME,
      unit: "{request}",
      help: "Loads that ended, well or not.",
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
      help: "Stores that have begun and not ended.",
      answers: "Does a tier fall behind with storing?",
      labels: ["l2_name", "adapter_index"],
    })
      .on("l2.store.submitted", ({ count, tier }) => [count, { tier }])
      .on("l2.store.completed", ({ count, tier }) => [-count, { tier }]),
    counter("vitrine_l2_requests_total", {
      unit: "{request}",
      help: "Calls to a tier, by operation and outcome.",
      answers: "Does a tier fail?",
      labels: ["tier", "op", "outcome"],
      zero: [
        { tier: "adapters", op: ["store"], outcome: storeOutcome.values },
        { tier: "adapters", op: ["load"], outcome: loadOutcome.values },
        { tier: "adapters", op: ["lookup"], outcome: lookupOutcome.values },
        { tier: "adapters", op: ["delete"], outcome: deleteOutcome.values },
      ],
    })
      .on("l2.store.completed", calls("store"))
      .on("l2.load.completed", calls("load"))
      .on("l2.lookup.completed", calls("lookup"))
      .on("l2.delete.completed", calls("delete")),
    histogram("vitrine_l2_duration_seconds", {
      unit: "s",
      help: "Time that calls to a tier take, whatever their outcome.",
      answers: "How fast is a tier?",
      labels: ["tier", "op"],
      zero: [{ tier: "adapters", op: ["store", "load", "lookup", "delete"] }],
      bounds: LATENCY_BOUNDS,
    })
      .on("l2.store.completed", timeOf("store"))
      .on("l2.load.completed", timeOf("load"))
      .on("l2.lookup.completed", timeOf("lookup"))
      .on("l2.delete.completed", timeOf("delete")),
    counter("vitrine_l2_bytes_total", {
      unit: "By",
      help: "Payload bytes stored to or loaded from a tier.",
      answers: "How much moves between the levels?",
      labels: ["tier", "op"],
      zero: [{ tier: "adapters", op: ["store", "load"] }],
    }).on("l2.store.completed", bytesOf("store")).on("l2.load.completed", bytesOf("load")),
    counter("vitrine_l2_removed_objects_total", {
      ...BY_REASON,
      unit: "{object}",
      help: "Objects that left a tier, by reason.",
      answers: "Why do objects leave a tier? corrupt should stay zero.",
    }).on("l2.removed", ({ keys, tier, reason }) => [keys, { tier, reason }]),
    counter("vitrine_l2_removed_bytes_total", {
      ...BY_REASON,
      unit: "By",
      help: "Bytes of the objects that left a tier, by reason.",
      answers: "How fast does a tier turn over, and why?",
    }).on("l2.removed", ({ bytes, tier, reason }) => [bytes, { tier, reason }]),
  ],
};
