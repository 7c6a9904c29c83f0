import type { Subscriber, Subscriptions } from "../../events/subscriber.ts";
import type { Log } from "./log.ts";

/** Logs how workers come and go; one that goes without being told to is a warning. */
export class WorkerLogging implements Subscriber {
  readonly name = "logging.workers";
  readonly subscriptions: Subscriptions;

  constructor(log: Log) {
    const component = "workers";
    this.subscriptions = {
      "worker.started": ({ place, timeMs }) =>
        log.line({ level: "info", component, message: "a worker is ready", timeMs, attributes: { place } }),
      "worker.stuck": ({ place, timeMs }) =>
        log.line({
          level: "error",
          component,
          message: "a worker's thread cannot be ended: restart the process",
          timeMs,
          attributes: { place },
        }),
      "worker.gone": ({ place, cause, count, timeMs }) => {
        const isExpected = cause === "stopped";
        log.line({
          level: isExpected ? "info" : "warn",
          component,
          message: isExpected ? "a worker has stopped" : "a worker is gone",
          timeMs,
          attributes: { place, cause, count },
        });
      },
    };
  }
}
