import {
  bytes,
  count,
  detail,
  error,
  type EventFamily,
  keys,
  oneOf,
  rate,
  requestId,
  seconds,
  sum,
  tenant,
  tier,
} from "./fields.ts";

/** Events of the tiers. */
export const l2Events = {
  "l2.store.submitted": {
    doc: "A store to a tier began.",
    fields: { tier, tenant, keys, bytes: sum("Bytes, if known at this point.") },
  },
  "l2.store.completed": {
    doc: "A store to a tier ended.",
    fields: {
      tier,
      tenant,
      outcome: oneOf(["ok", "failed", "aborted"], "aborted: the source was cut short; the tier did not fail."),
      keys,
      bytes: sum("Bytes stored; 0 unless ok."),
      seconds: seconds("Time from submission to the end."),
      error,
      requestId,
    },
  },
  "l2.lookup.completed": {
    doc: "A tier was asked whether it has a key.",
    fields: {
      tier,
      tenant,
      outcome: oneOf(["hit", "miss", "error"], "Answer of the tier."),
      keys,
      seconds: seconds("Duration of the call."),
      error,
      requestId,
    },
  },
  "l2.lookup_many.completed": {
    doc: "A tier was asked in one call which of many keys it has. Such a call is in no l2.lookup.completed.",
    fields: {
      tier,
      tenant,
      outcome: oneOf(["ok", "error"], "ok: the tier answered for all keys."),
      keys,
      hits: sum("Keys that the tier had."),
      seconds: seconds("Duration of the call."),
      error,
      requestId,
    },
  },
  "l2.load.submitted": { doc: "A load from a tier began.", fields: { tier, tenant, keys, bytes } },
  "l2.load.completed": {
    doc: "A load from a tier ended.",
    fields: {
      tier,
      tenant,
      outcome: oneOf(["ok", "failed", "aborted"], "aborted: no reader was left."),
      keys,
      bytes: sum("Bytes loaded and verified."),
      requestedBytes: sum("Bytes announced by l2.load.submitted."),
      seconds: seconds("Time from submission to the last byte."),
      error,
      requestId,
    },
  },
  "l2.transferred": {
    doc: "A successful store or load moved bytes; published when it ends.",
    fields: {
      tier,
      direction: oneOf(["store", "load"], "store: to the tier."),
      rate: rate("Gigabytes per second, waiting time included."),
    },
  },
  "l2.delete.completed": {
    doc: "A tier was asked to delete a key.",
    fields: {
      tier,
      tenant,
      outcome: oneOf(["deleted", "miss", "error"], "Result of the deletion."),
      keys,
      seconds: seconds("Duration of the call."),
      error,
      requestId,
    },
  },
  "timeout.raised": {
    doc: "A call to a tier timed out.",
    fields: {
      exceptionType: oneOf(
        ["l2_lookup", "l2_load", "l2_store", "l2_delete", "l2_list", "l2_usage"],
        "The call that timed out.",
      ),
      requestId,
    },
  },
  "l2.removed": {
    doc: "Objects left a tier.",
    fields: {
      tier,
      tenant,
      reason: oneOf(["capacity", "expired", "deleted", "cleared", "replaced", "corrupt"], "Reason for the removal."),
      keys,
      bytes,
    },
  },
  "l2.damaged": {
    doc: "An object in a tier was found damaged, and was removed.",
    fields: {
      tier,
      found: oneOf(["scrub", "read"], "scrub: the scrubber was reading it; read: anybody else, or the tier itself."),
      keyHash: detail("The first 16 hexadecimal digits of the SHA-256 of tenant, NUL and key."),
    },
  },
  "l2.scrubbed": {
    doc: "The scrubber has read an object of a tier.",
    fields: {
      tier,
      outcome: oneOf(
        ["intact", "damaged", "gone", "failed"],
        "damaged: it was removed; gone: it left the tier before it was read; failed: it could not be read.",
      ),
      keys,
      bytes: sum("Bytes that were read."),
    },
  },
  "l2.state.changed": {
    doc: "A tier became unusable, or usable again.",
    fields: {
      tier,
      state: oneOf(["usable", "unusable"], "New state of the tier."),
      cause: detail('Reason for unusable; "" for usable.'),
    },
  },
  "l2.changed_elsewhere": {
    doc:
      "Another server changed objects of a shared tier; this one drops its copies of them. A tier whose log tells of changes publishes each; a bucket, where a copy is compared, only those that outdated a copy here.",
    fields: {
      tier,
      scope: oneOf(
        ["key", "tenant", "any"],
        "key: one object; tenant: a tenant's objects were cleared; any: all were cleared, or changes were missed.",
      ),
      seconds: seconds(
        "Time from the change to its notice by the engine's clock; 0 for any. For a bucket, the most that it can be: the time since the copy was last known to be current.",
      ),
    },
  },
  "l2.committed": {
    doc:
      "The owner of a file tier's folder committed changes together: one write, one sync if any of them must be durable, one transaction.",
    fields: {
      tier,
      changes: count("Number of changes: objects stored, deleted or found damaged."),
    },
  },
  "l2.commit.timed": {
    doc: "The duration of one part of a commit; published with the commit.",
    fields: {
      tier,
      part: oneOf(
        ["commit", "sync"],
        "commit: the whole commit; sync: its wait for stable storage, only for commits that have to wait.",
      ),
      seconds: seconds("Duration of the call."),
    },
  },
  "l2.reclaimed": {
    doc: "A segment of a file tier was dropped.",
    fields: {
      tier,
      bytes: sum("Length of the segment."),
      copiedBytes: sum("Bytes of the live records that were copied out of the segment first."),
    },
  },
  "l2.cleanup_failed": {
    doc:
      "A file that is no longer needed could not be removed, or a folder could not be cleaned up. The tier tries again.",
    fields: { tier, error },
  },
} as const satisfies EventFamily;
