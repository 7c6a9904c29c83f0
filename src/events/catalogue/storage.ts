import { bytes, type EventFamily, key, keys, oneOf, requestId, sum, tenant } from "./fields.ts";

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
