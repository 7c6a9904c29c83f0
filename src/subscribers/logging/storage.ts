import type { EventName } from "../../events/catalogue.ts";
import type { Subscriber, Subscriptions } from "../../events/subscriber.ts";
import type { Log } from "./log.ts";

/** Logs lookups and writes for those who look closely; without them it listens to nothing. */
export class StorageLogging implements Subscriber {
  readonly name = "logging.storage";
  readonly subscriptions: Subscriptions;
  readonly detail: readonly EventName[] = ["lookup.finished", "sm.write.finished"];

  constructor(log: Log) {
    const line = { level: "debug", component: "storage" } as const;
    this.subscriptions = log.writes("debug")
      ? {
        "lookup.finished": ({ tenant, tier, result, reason, keys, bytes, timeMs, requestId }) =>
          log.line({
            ...line,
            message: "a lookup was decided",
            timeMs,
            attributes: { tenant, tier, result, reason, keys, bytes },
            requestId,
          }),
        "sm.write.finished": ({ tenant, outcome, keys, bytes, timeMs, requestId }) =>
          log.line({
            ...line,
            message: "a write ended",
            timeMs,
            attributes: { tenant, outcome, keys, bytes },
            requestId,
          }),
      }
      : {};
  }
}
