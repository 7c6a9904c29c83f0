import type { EventName } from "../../events/catalogue.ts";
import type { Delivered } from "../../events/delivered.ts";
import type { Subscriber, Subscriptions } from "../../events/subscriber.ts";
import type { Log } from "./log.ts";
import { Outages } from "./outages.ts";

type Completed = Delivered<
  "l2.lookup.completed" | "l2.load.completed" | "l2.store.completed" | "l2.delete.completed"
>;

const CALLS = [
  "l2.lookup.completed",
  "l2.load.completed",
  "l2.store.completed",
  "l2.delete.completed",
] as const satisfies readonly EventName[];

/** Successes of before a failure may come after it, with the events that were added up. */
const QUIET_MS = 5000;

/** Logs what fails in the tiers and why, that it works again, and all their calls for those who look closely. */
export class L2Logging implements Subscriber {
  readonly name = "logging.l2";
  readonly subscriptions: Subscriptions;
  readonly detail: readonly EventName[];
  readonly followed: readonly EventName[] = [...CALLS, "l2.cleanup_failed"];

  constructor(log: Log, monotonicMs: () => number) {
    const outages = new Outages(QUIET_MS);
    const component = "l2";
    // A group of these has lost its causes.
    this.detail = log.writes("debug") ? [...CALLS, "l2.state.changed"] : ["l2.state.changed"];
    const onCompleted = (event: Completed) => {
      const { name, tier, tenant, outcome, keys, seconds, error, count, timeMs, requestId } = event;
      const hasFailed = outcome === "failed" || outcome === "error";
      const op = name.slice("l2.".length, -".completed".length);
      const kind = `${op} ${tier}`;
      const now = monotonicMs();
      if (hasFailed) {
        const failures = outages.failed(kind, { cause: error ?? "", monotonicMs: now, count });
        if (failures === undefined) return;
        const cause = error === undefined ? {} : { error };
        const attributes = { tier, tenant, outcome, keys, seconds, ...cause, failures };
        log.line({ level: "warn", component, message: `a tier failed to ${op}`, timeMs, attributes, requestId });
        return;
      }
      const failures = outcome === "aborted" ? undefined : outages.worked(kind, now);
      if (failures !== undefined) {
        const attributes = { tier, op, failures };
        log.line({ level: "info", component, message: "a tier works again", timeMs, attributes });
      }
      if (!log.writes("debug")) return;
      const attributes = { tier, tenant, outcome, keys, seconds };
      log.line({ level: "debug", component, message: `a tier was called to ${op}`, timeMs, attributes, requestId });
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
      "l2.cleanup_failed": ({ tier, error, count, timeMs }) => {
        const cause = error ?? "";
        const failures = outages.failed(`clean up ${tier}`, { cause, monotonicMs: monotonicMs(), count });
        if (failures === undefined) return;
        const attributes = { tier, error: cause, failures };
        log.line({ level: "warn", component, message: "a tier failed to clean up", timeMs, attributes });
      },
      "l2.state.changed": ({ tier, state, cause, timeMs }) =>
        log.line({
          level: state === "unusable" ? "error" : "info",
          component,
          message: state === "unusable" ? "a tier cannot be used" : "a tier can be used again",
          timeMs,
          attributes: { tier, cause: cause ?? "" },
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
