import type { EventName } from "../../events/catalogue.ts";
import type { Delivered } from "../../events/delivered.ts";
import type { Subscriber, Subscriptions } from "../../events/subscriber.ts";
import type { Log } from "./log.ts";

type Completed = Delivered<
  "l2.lookup.completed" | "l2.load.completed" | "l2.store.completed" | "l2.delete.completed"
>;

const CALLS = [
  "l2.lookup.completed",
  "l2.load.completed",
  "l2.store.completed",
  "l2.delete.completed",
] as const satisfies readonly EventName[];

/** Logs what fails in the tiers, and all their calls for those who look closely. */
export class L2Logging implements Subscriber {
  readonly name = "logging.l2";
  readonly subscriptions: Subscriptions;
  readonly detail: readonly EventName[];
  readonly followed: readonly EventName[] = CALLS;

  constructor(log: Log) {
    const component = "l2";
    this.detail = log.writes("debug") ? CALLS : [];
    const onCompleted = (event: Completed) => {
      const { name, tier, tenant, outcome, keys, seconds, timeMs, requestId } = event;
      const hasFailed = outcome === "failed" || outcome === "error";
      const level = hasFailed ? "warn" : "debug";
      if (!log.writes(level)) return;
      const op = name.slice("l2.".length, -".completed".length);
      log.line({
        level,
        component,
        message: hasFailed ? `a tier failed to ${op}` : `a tier was called to ${op}`,
        timeMs,
        attributes: { tier, tenant, outcome, keys, seconds },
        requestId,
      });
    };
    this.subscriptions = {
      "l2.lookup.completed": onCompleted,
      "l2.load.completed": onCompleted,
      "l2.store.completed": onCompleted,
      "l2.delete.completed": onCompleted,
      "timeout.raised": ({ exceptionType, count, timeMs, requestId }) =>
        log.line({
          level: "warn",
          component,
          message: "a call was given up",
          timeMs,
          attributes: { call: exceptionType, count },
          requestId,
        }),
      "l2.removed": ({ tier, tenant, reason, keys, bytes, timeMs }) =>
        log.line({
          level: reason === "corrupt" ? "warn" : "debug",
          component,
          message: reason === "corrupt" ? "bad objects were removed" : "objects left a tier",
          timeMs,
          attributes: { tier, tenant, reason, keys, bytes },
        }),
    };
  }
}
