import { bytes, detail, type EventFamily, key, keys, oneOf, requestId, sum, tenant } from "./fields.ts";
/** Events of the storage manager. */
export const storageEvents = {
  "sm.read.prefetched": {
    doc: "A read request probed L1: once per request.",
    fields: { tenant, succeeded: sum("Keys L1 could serve."), failed: sum("Keys L1 could not serve."), requestId },
  },
  "sm.read.finished": {
    doc: "A reader got everything and released it.",
    fields: { tenant, keys, bytes, requestId },
  },
  "sm.read.aborted": {
    doc: "A read broke off: the client went away or a tier failed half-way.",
    fields: { tenant, keys, requestId },
  },
  "sm.write.reserved": {
    doc: "A write request asked for room: once per request.",
    fields: { tenant, succeeded: sum("Keys that got room."), failed: sum("Keys refused."), requestId },
  },
  "sm.write.finished": {
    doc: "A write request ended.",
    fields: {
      tenant,
      outcome: oneOf(["stored", "aborted"], "aborted: refused, broken off or failed after the reservation."),
      keys,
      bytes,
      key,
      requestId,
    },
  },
} as const satisfies EventFamily;

/** Events of L1. */
export const l1Events = {
  "l1.read.reserved": { doc: "Read leases were given on resident objects.", fields: { tenant, keys, bytes, key } },
  "l1.read.finished": { doc: "Read leases were given back by their holder.", fields: { tenant, keys, bytes, key } },
  "l1.write.reserved": { doc: "Memory was staged for writing.", fields: { tenant, keys, bytes, key } },
  "l1.write.finished": {
    doc: "Staged objects were admitted (dropped duplicates are not counted).",
    fields: { tenant, keys, bytes, key },
  },
  "l1.write_finished_and_read_reserved": {
    doc: "Staged objects were admitted and read-leased in one step.",
    fields: { tenant, keys, bytes, key },
  },
  "l1.write.aborted": { doc: "Staged memory was given back without admission.", fields: { tenant, keys, bytes, key } },
  "l1.removed": {
    doc: "Objects left L1.",
    fields: {
      tenant,
      reason: oneOf(
        ["watermark", "pressure", "quota", "expired", "deleted", "cleared", "replaced", "temporary"],
        "Why.",
      ),
      keys,
      bytes,
      key,
    },
  },
  "l1.key.sampled": {
    doc: "Something happened to an object whose key's hash is a multiple of 128: what lifetimes are measured on.",
    fields: {
      tenant,
      action: oneOf(
        ["written", "loaded", "read", "removed"],
        "written: admitted by a write; loaded: admitted from a tier, for a reader; read: found resident by a reader.",
      ),
      reason: oneOf(
        ["", "watermark", "pressure", "quota", "expired", "deleted", "cleared", "replaced", "temporary"],
        'Why it was removed; "" for the other actions.',
      ),
      keyHash: detail("The hash of tenant and key, in digits."),
      atMs: detail(
        "When, in milliseconds of the server's monotonic clock, in digits: lifetimes do not depend on wall time.",
      ),
    },
  },
  "l1.lease.expired": {
    doc: "Leases ran out before their holder gave them back.",
    fields: { kind: oneOf(["read", "write"], "Which kind of reservation."), keys },
  },
  "l1.allocation.failed": {
    doc: "L1 had no room even after eviction.",
    fields: { during: oneOf(["l1_store", "l2_prefetch"], "What asked."), keys, bytes, requestId },
  },
  "l1.read.failed": {
    doc: "An object that a lookup had just found could not be read: should stay near zero.",
    fields: {
      during: oneOf(["l1_retrieve", "l2_store"], "What asked."),
      reason: oneOf(["not_found", "write_locked"], "Why."),
      keys,
      requestId,
    },
  },
  "l1.eviction.tick": {
    doc: "The watermark loop ran.",
    fields: {
      triggered: oneOf(["true", "false"], "Whether usage was at or above the high watermark."),
      keys: sum("Objects evicted."),
      bytes,
    },
  },
} as const satisfies EventFamily;
