import { catalogue } from "../../../../events/catalogue.ts";
import type { MetricRow } from "../table_row.ts";
import { BY_TENANT } from "./by_tenant.ts";

const { during: allocationDuring } = catalogue["l1.allocation.failed"].fields;
const { during: readDuring, reason: readReason } = catalogue["l1.read.failed"].fields;
const { reason: removalReason } = catalogue["l1.removed"].fields;
const { kind: leaseKind } = catalogue["l1.lease.expired"].fields;

const READ = { from: ["l1.read.finished"], labels: [], kind: "counter" } as const;
const WRITE = {
  from: ["l1.write.finished", "l1.write_finished_and_read_reserved"],
  labels: [],
  kind: "counter",
} as const;
const REMOVED = { from: ["l1.removed"], labels: [], kind: "counter" } as const;
const TICK = { from: ["l1.eviction.tick"], labels: [], kind: "counter" } as const;
const REMOVED_BY_REASON = {
  from: ["l1.removed"],
  labels: ["reason"],
  zero: [{ reason: removalReason.values }],
  kind: "counter",
} as const;

/** What the memory tier did. */
export const l1Table = {
  lmcache_mp_l1_read_keys_total: {
    ...READ,
    unit: "{key}",
    help: "Objects whose read lease was given back.",
    answers: "How many objects are read from memory?",
  },
  lmcache_mp_l1_write_keys_total: {
    ...WRITE,
    unit: "{key}",
    help: "Objects admitted to L1, by writes and by loads from a tier.",
    answers: "How many objects come into memory?",
  },
  lmcache_mp_l1_evicted_keys_total: {
    ...REMOVED,
    unit: "{key}",
    help: "Objects that left L1, for whatever reason (LMCache's meaning of evicted).",
    answers: "How many objects leave memory? Ask vitrine_l1_removed_objects_total why.",
  },
  lmcache_mp_l1_read_chunks_total: {
    ...READ,
    ...BY_TENANT,
    unit: "{chunk}",
    help: "LMCache's newer name of lmcache_mp_l1_read_keys_total.",
    answers: "The same by tenant, for LMCache's stock dashboard.",
  },
  lmcache_mp_l1_write_chunks_total: {
    ...WRITE,
    ...BY_TENANT,
    unit: "{chunk}",
    help: "LMCache's newer name of lmcache_mp_l1_write_keys_total.",
    answers: "The same by tenant, for LMCache's stock dashboard.",
  },
  lmcache_mp_l1_evicted_chunks_total: {
    ...REMOVED,
    ...BY_TENANT,
    unit: "{chunk}",
    help: "LMCache's newer name of lmcache_mp_l1_evicted_keys_total.",
    answers: "The same by tenant, for LMCache's stock dashboard.",
  },
  lmcache_mp_l1_eviction_loop_ticks_total: {
    ...TICK,
    unit: "{tick}",
    help: "Turns of the eviction loop.",
    answers: "Is the loop alive?",
  },
  lmcache_mp_l1_eviction_loop_triggered_total: {
    ...TICK,
    unit: "{tick}",
    help: "Turns of the eviction loop that found usage at or above the high watermark.",
    answers: "How often is L1 full enough to evict?",
  },
  lmcache_mp_l1_allocation_failure_chunks_total: {
    kind: "counter",
    unit: "{chunk}",
    help: "Objects for which L1 had no room even after eviction.",
    answers: "Is L1 too small, or pinned by leases?",
    from: ["l1.allocation.failed"],
    labels: ["during"],
    zero: [{ during: allocationDuring.values }],
  },
  lmcache_mp_l1_read_failure_chunks_total: {
    kind: "counter",
    unit: "{chunk}",
    help: "Objects that a lookup had just found and that could not be read.",
    answers: "Do leases and eviction work? It should stay near zero.",
    from: ["l1.read.failed"],
    labels: ["during", "reason"],
    zero: [{ during: readDuring.values, reason: readReason.values }],
  },
  vitrine_l1_removed_objects_total: {
    ...REMOVED_BY_REASON,
    unit: "{object}",
    help: "Objects that left L1, by reason.",
    answers: "Why do objects leave memory?",
  },
  vitrine_l1_removed_bytes_total: {
    ...REMOVED_BY_REASON,
    unit: "By",
    help: "Bytes of the objects that left L1, by reason.",
    answers: "How fast does memory turn over, and why?",
  },
  vitrine_l1_lease_expired_total: {
    kind: "counter",
    unit: "{lease}",
    help: "Leases that ran out before their holder gave them back.",
    answers: "Do holders hang or die?",
    from: ["l1.lease.expired"],
    labels: ["kind"],
    zero: [{ kind: leaseKind.values }],
  },
} as const satisfies Record<string, MetricRow>;
