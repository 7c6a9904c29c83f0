import { bytes, detail, type EventFamily, key, keys, oneOf, requestId, seconds, sum, tenant } from "./fields.ts";
/** Events of the storage manager. */
export const storageEvents = {
  "sm.read.prefetched": {
    doc: "A read request looked in L1; published once per request.",
    fields: {
      tenant,
      succeeded: sum("Keys that L1 could serve."),
      failed: sum("Keys that L1 could not serve."),
      requestId,
    },
  },
  "sm.read.finished": {
    doc: "A reader received the whole object and released it.",
    fields: { tenant, keys, bytes, requestId },
  },
  "sm.read.aborted": {
    doc: "A read was cut short: the client disconnected, or a tier failed midway.",
    fields: { tenant, keys, requestId },
  },
  "sm.keys.looked_up": {
    doc:
      "A request asked which levels have many keys, and in what prefix; published once per request. Such keys are in no lookup.finished.",
    fields: {
      tenant,
      l1Keys: sum("Keys that L1 had."),
      l2Keys: sum("Keys that a tier had, and L1 had not."),
      missingKeys: sum("Keys that no level had, as all of them said."),
      unknownKeys: sum("Keys that no level had, and about which a tier could not answer."),
      tokens: sum("Tokens of all keys; a key counts as one unless the request says otherwise."),
      l1Tokens: sum("Tokens of the leading keys that L1 had."),
      l2Tokens: sum("Tokens of the leading keys that L1 and the tiers had, beyond those that L1 alone had."),
      requestId,
    },
  },
  "sm.lease.refused": {
    doc: "A request asked for leases that would have been more than clients may have at a time.",
    fields: { tenant, keys, requestId },
  },
  "sm.prefetch.ended": {
    doc:
      "A prefetch job ended; published once, by the worker that ran it. The end of one whose worker has died is not published.",
    fields: {
      tenant,
      outcome: oneOf(
        ["done", "deadline", "cancelled", "stopped"],
        "deadline: its time was over; cancelled: by a request; stopped: the server stops.",
      ),
      hit: sum("Keys that L1 had."),
      loaded: sum("Keys that were loaded into L1."),
      miss: sum("Keys that no level had."),
      notAttempted: sum("Keys of which no load was begun."),
      noRoom: sum("Keys for which L1 had no room, or clients as many leases as they may have."),
      failed: sum("Keys that a tier could not give, or not before the end."),
      seconds: seconds("Time from the request to the end."),
      requestId,
    },
  },
  "sm.write.reserved": {
    doc: "A write request asked for room; published once per request.",
    fields: { tenant, succeeded: sum("Keys that got room."), failed: sum("Keys refused."), requestId },
  },
  "sm.write.finished": {
    doc: "A write request ended.",
    fields: {
      tenant,
      outcome: oneOf(["stored", "aborted"], "aborted: refused, cut short or failed after the reservation."),
      keys,
      bytes,
      key,
      requestId,
    },
  },
  "sm.write_back.failed": {
    doc:
      "No tier took acknowledged objects, and none will get them: they are lost when they leave L1. Each failed attempt is an l2.store.completed.",
    fields: { tenant, keys, bytes, key, requestId },
  },
} as const satisfies EventFamily;

/** Events of L1. */
export const l1Events = {
  "l1.read.reserved": { doc: "Read leases were taken on resident objects.", fields: { tenant, keys, bytes, key } },
  "l1.read.finished": { doc: "Read leases were released by their holder.", fields: { tenant, keys, bytes, key } },
  "l1.hold.taken": {
    doc: "Clients' leases were taken on resident objects: these are not evicted.",
    fields: { tenant, keys, bytes, key },
  },
  "l1.hold.released": { doc: "Clients' leases were released.", fields: { tenant, keys, bytes, key } },
  "l1.hold.expired": {
    doc: "Clients' leases ended with their time, or with the worker that gave them.",
    fields: { tenant, keys, bytes, key },
  },
  "l1.write.reserved": { doc: "Memory was staged for writing.", fields: { tenant, keys, bytes, key } },
  "l1.write.finished": {
    doc: "Staged objects were admitted (dropped duplicates are not counted).",
    fields: { tenant, keys, bytes, key },
  },
  "l1.write_finished_and_read_reserved": {
    doc: "Staged objects were admitted and read-leased in one step.",
    fields: { tenant, keys, bytes, key },
  },
  "quota.changed": {
    doc: "A tenant's quota of L1 was set or ended.",
    fields: {
      tenant,
      action: oneOf(
        ["soft", "strict", "removed"],
        "soft or strict: it was set, and is one that is exceeded where there is room, or never.",
      ),
      limitBytes: detail('The quota in bytes, as decimal digits; "" if it was ended.'),
    },
  },
  "l1.quota.refused": {
    doc: "Writes were refused because their tenant's strict quota of L1 leaves no room for them.",
    fields: { tenant, keys, bytes, key },
  },
  "l1.write.aborted": { doc: "Staged memory was released without admission.", fields: { tenant, keys, bytes, key } },
  "l1.removed": {
    doc: "Objects left L1.",
    fields: {
      tenant,
      reason: oneOf(
        ["watermark", "pressure", "quota", "expired", "deleted", "cleared", "replaced", "temporary"],
        "Reason for the removal.",
      ),
      keys,
      bytes,
      key,
    },
  },
  "l1.key.sampled": {
    doc:
      "An object whose key hash is a multiple of 128 was written, loaded, read or removed. Lifetimes are measured on these objects.",
    fields: {
      tenant,
      action: oneOf(
        ["written", "loaded", "read", "removed"],
        "written: admitted by a write; loaded: admitted from a tier for a reader; read: found resident by a reader.",
      ),
      reason: oneOf(
        ["", "watermark", "pressure", "quota", "expired", "deleted", "cleared", "replaced", "temporary"],
        'Reason for the removal; "" for the other actions.',
      ),
      keyHash: detail("The hash of tenant and key, as decimal digits."),
      atMs: detail(
        "Time of the action in milliseconds of the server's monotonic clock, as decimal digits. Lifetimes do not depend on wall time.",
      ),
    },
  },
  "l1.lease.expired": {
    doc: "Leases expired before their holder released them.",
    fields: { kind: oneOf(["read", "write"], "Kind of lease."), keys },
  },
  "l1.allocation.failed": {
    doc: "L1 had no room, even after eviction.",
    fields: { during: oneOf(["l1_store", "l2_prefetch"], "Operation that needed the room."), keys, bytes, requestId },
  },
  "l1.read.failed": {
    doc: "An object that a lookup had just found could not be read. This should stay near zero.",
    fields: {
      during: oneOf(["l1_retrieve", "l2_store"], "Operation that read the object."),
      reason: oneOf(["not_found", "write_locked"], "Reason for the failure."),
      keys,
      requestId,
    },
  },
  "l1.eviction.tick": {
    doc: "The eviction loop ran once.",
    fields: {
      triggered: oneOf(["true", "false"], "True if usage was at or above the high watermark."),
      keys: sum("Objects evicted."),
      bytes,
    },
  },
} as const satisfies EventFamily;
