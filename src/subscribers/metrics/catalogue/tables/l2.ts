import { catalogue, LATENCY_BOUNDS } from "../../../../events/catalogue.ts";
import type { MetricRow } from "../table_row.ts";
import { BY_TENANT } from "./by_tenant.ts";

const { outcome: storeOutcome } = catalogue["l2.store.completed"].fields;
const { outcome: loadOutcome } = catalogue["l2.load.completed"].fields;
const { outcome: lookupOutcome } = catalogue["l2.lookup.completed"].fields;
const { outcome: deleteOutcome } = catalogue["l2.delete.completed"].fields;
const { reason } = catalogue["l2.removed"].fields;

const BY_NAME = { labels: ["l2_name"], zero: [{ l2_name: "adapters" }] } as const;
const BY_ADAPTER = { labels: ["l2_name", "adapter_index"], zero: ["adapters"] } as const;
const REMOVED = {
  kind: "counter",
  from: ["l2.removed"],
  labels: ["tier", "reason"],
  zero: [{ tier: "adapters", reason: reason.values }],
} as const;

/** What the L2 tiers did. */
export const l2Table = {
  lmcache_mp_l2_store_submitted_requests_total: {
    kind: "counter",
    unit: "{request}",
    help: "Stores handed to a tier.",
    answers: "How much is stored?",
    from: ["l2.store.submitted"],
    labels: [],
  },
  lmcache_mp_l2_store_submitted_objects_chunks_total: {
    kind: "counter",
    unit: "{chunk}",
    help: "Objects in the stores handed to a tier.",
    answers: "How many objects are stored?",
    from: ["l2.store.submitted"],
    ...BY_TENANT,
  },
  lmcache_mp_l2_store_completed_requests_total: {
    kind: "counter",
    unit: "{request}",
    help: "Stores that ended, well or not.",
    answers: "Does every store end?",
    from: ["l2.store.completed"],
    ...BY_NAME,
  },
  lmcache_mp_l2_store_completed_objects_chunks_total: {
    kind: "counter",
    unit: "{chunk}",
    help: "Objects that a tier has stored.",
    answers: "How many objects arrive in L2?",
    from: ["l2.store.completed"],
    ...BY_TENANT,
  },
  lmcache_mp_l2_load_completed_requests_total: {
    kind: "counter",
    unit: "{request}",
    help: "Loads that ended, well or not.",
    answers: "How much is read from each tier?",
    from: ["l2.load.completed"],
    ...BY_NAME,
  },
  lmcache_mp_l2_evicted_objects_chunks_total: {
    kind: "counter",
    unit: "{chunk}",
    help: "Objects evicted from a tier to keep it under its limit.",
    answers: "Are the tiers too small?",
    from: ["l2.removed"],
    ...BY_TENANT,
  },
  lmcache_mp_num_inflight_l2_stores: {
    kind: "gauge",
    unit: "{request}",
    help: "Stores that have begun and not ended.",
    answers: "Does a tier fall behind with storing?",
    from: ["l2.store.submitted", "l2.store.completed"],
    ...BY_ADAPTER,
  },
  vitrine_l2_requests_total: {
    kind: "counter",
    unit: "{request}",
    help: "Calls to a tier, by operation and outcome.",
    answers: "Does a tier fail?",
    from: ["l2.store.completed", "l2.load.completed", "l2.lookup.completed", "l2.delete.completed"],
    labels: ["tier", "op", "outcome"],
    zero: [
      { tier: "adapters", op: ["store"], outcome: storeOutcome.values },
      { tier: "adapters", op: ["load"], outcome: loadOutcome.values },
      { tier: "adapters", op: ["lookup"], outcome: lookupOutcome.values },
      { tier: "adapters", op: ["delete"], outcome: deleteOutcome.values },
    ],
  },
  vitrine_l2_duration_seconds: {
    kind: "histogram",
    unit: "s",
    help: "Time that calls to a tier take, whatever their outcome.",
    answers: "How fast is a tier?",
    from: ["l2.store.completed", "l2.load.completed", "l2.lookup.completed", "l2.delete.completed"],
    labels: ["tier", "op"],
    zero: [{ tier: "adapters", op: ["store", "load", "lookup", "delete"] }],
    bounds: LATENCY_BOUNDS,
  },
  vitrine_l2_bytes_total: {
    kind: "counter",
    unit: "By",
    help: "Payload bytes stored to or loaded from a tier.",
    answers: "How much moves between the levels?",
    from: ["l2.store.completed", "l2.load.completed"],
    labels: ["tier", "op"],
    zero: [{ tier: "adapters", op: ["store", "load"] }],
  },
  vitrine_l2_removed_objects_total: {
    ...REMOVED,
    unit: "{object}",
    help: "Objects that left a tier, by reason.",
    answers: "Why do objects leave a tier? corrupt should stay zero.",
  },
  vitrine_l2_removed_bytes_total: {
    ...REMOVED,
    unit: "By",
    help: "Bytes of the objects that left a tier, by reason.",
    answers: "How fast does a tier turn over, and why?",
  },
} as const satisfies Record<string, MetricRow>;
