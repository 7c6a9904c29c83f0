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
    fields: { tier, tenant, keys, bytes: sum("Bytes, where known by then.") },
  },
  "l2.store.completed": {
    doc: "A store to a tier ended.",
    fields: {
      tier,
      tenant,
      outcome: oneOf(["ok", "failed", "aborted"], "aborted: the source broke off, the tier is not to blame."),
      keys,
      bytes: sum("Bytes stored; 0 unless ok."),
      seconds: seconds("From submission to the end."),
      error,
      requestId,
    },
  },
  "l2.lookup.completed": {
    doc: "A tier was asked whether it has a key.",
    fields: {
      tier,
      tenant,
      outcome: oneOf(["hit", "miss", "error"], "What it said."),
      keys,
      seconds: seconds("Time it took."),
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
      outcome: oneOf(["ok", "failed", "aborted"], "aborted: no reader wanted the rest."),
      keys,
      bytes: sum("Bytes loaded and verified."),
      requestedBytes: sum("Bytes that l2.load.submitted announced."),
      seconds: seconds("From submission to the last byte."),
      error,
      requestId,
    },
  },
  "l2.transferred": {
    doc: "A store or a load that ended well moved bytes; published with its end.",
    fields: {
      tier,
      direction: oneOf(["store", "load"], "store: to the tier."),
      rate: rate("Gigabytes a second, waiting included."),
    },
  },
  "l2.delete.completed": {
    doc: "A tier was asked to delete a key.",
    fields: {
      tier,
      tenant,
      outcome: oneOf(["deleted", "miss", "error"], "What came of it."),
      keys,
      seconds: seconds("Time it took."),
      error,
      requestId,
    },
  },
  "timeout.raised": {
    doc: "A call was given up because it took too long.",
    fields: {
      exceptionType: oneOf(["l2_lookup", "l2_load", "l2_store", "l2_delete", "l2_list", "l2_usage"], "Which call."),
      requestId,
    },
  },
  "l2.removed": {
    doc: "Objects left a tier.",
    fields: {
      tier,
      tenant,
      reason: oneOf(["capacity", "expired", "deleted", "cleared", "replaced", "corrupt"], "Why."),
      keys,
      bytes,
    },
  },
  "l2.state.changed": {
    doc: "A tier can no longer be used, or can be used again.",
    fields: {
      tier,
      state: oneOf(["usable", "unusable"], "Whether it can be used."),
      cause: detail('Why not; "" if it can be used.'),
    },
  },
  "l2.committed": {
    doc:
      "The owner of a file tier's folder made changes in one step: one write, one sync if any of them must be durable, one transaction.",
    fields: {
      tier,
      changes: count("How many changes: objects stored, deleted, found damaged."),
    },
  },
  "l2.commit.timed": {
    doc: "How long a part of such a step took; published with it.",
    fields: {
      tier,
      part: oneOf(
        ["commit", "sync"],
        "commit: all of the step; sync: its wait for stable storage, of steps that have to wait for it.",
      ),
      seconds: seconds("Time it took."),
    },
  },
  "l2.reclaimed": {
    doc: "A segment of a file tier was dropped.",
    fields: {
      tier,
      bytes: sum("Its length."),
      copiedBytes: sum("Bytes of the live records that were moved out of it before."),
    },
  },
  "l2.cleanup_failed": {
    doc: "A file that is no longer needed could not be removed, or a folder not be tidied up: that is tried again.",
    fields: { tier, error },
  },
} as const satisfies EventFamily;
