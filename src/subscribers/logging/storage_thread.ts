import type { Subscriber, Subscriptions } from "../../events/subscriber.ts";
import type { Log } from "./log.ts";

/** Logs when the storage thread stands still, ends and is there again. */
export class StorageThreadLogging implements Subscriber {
  readonly name = "logging.storage_thread";
  readonly subscriptions: Subscriptions;
  readonly followed = ["storage_thread.gone"] as const;

  constructor(log: Log) {
    const component = "storage_thread";
    this.subscriptions = {
      "storage_thread.started": ({ timeMs }) =>
        log.line({ level: "info", component, message: "the storage thread is ready", timeMs, attributes: {} }),
      "storage_thread.stuck": ({ timeMs }) =>
        log.line({
          level: "error",
          component,
          message: "the storage thread stands still: its disk does not answer, or is very slow",
          timeMs,
          attributes: {},
        }),
      "storage_thread.resumed": ({ seconds, timeMs }) =>
        log.line({ level: "info", component, message: "the storage thread goes on", timeMs, attributes: { seconds } }),
      "storage_thread.gone": ({ cause, error, timeMs }) =>
        log.line({
          level: "error",
          component,
          message: "the storage thread has ended and is started again",
          timeMs,
          attributes: { cause, ...(error === undefined ? {} : { error }) },
        }),
    };
  }
}
