import type { Subscriber, Subscriptions } from "../../events/subscriber.ts";
import type { Log } from "./log.ts";

/** Logs what should not happen in L1, and what leaves it for those who look closely. */
export class L1Logging implements Subscriber {
  readonly name = "logging.l1";
  readonly subscriptions: Subscriptions;
  readonly followed = ["l1.allocation.failed", "l1.read.failed"] as const;

  constructor(log: Log) {
    const component = "l1";
    const onRemoved: Subscriptions = log.writes("debug")
      ? {
        "l1.removed": ({ tenant, reason, keys, bytes, timeMs }) =>
          log.line({
            level: "debug",
            component,
            message: "objects left memory",
            timeMs,
            attributes: { tenant, reason, keys, bytes },
          }),
      }
      : {};
    this.subscriptions = {
      ...onRemoved,
      "l1.lease.expired": ({ kind, keys, timeMs }) =>
        log.line({ level: "warn", component, message: "leases ran out", timeMs, attributes: { kind, keys } }),
      "l1.allocation.failed": ({ during, keys, bytes, timeMs, requestId }) =>
        log.line({
          level: "warn",
          component,
          message: "no room in memory",
          timeMs,
          attributes: { during, keys, bytes },
          requestId,
        }),
      "l1.read.failed": ({ during, reason, keys, timeMs, requestId }) =>
        log.line({
          level: "warn",
          component,
          message: "an object that was found could not be read",
          timeMs,
          attributes: { during, reason, keys },
          requestId,
        }),
    };
  }
}
