import type { Subscriber, Subscriptions } from "../../events/subscriber.ts";
import type { Instruments } from "./support/instruments.ts";

/** Counts the workers, and the storage threads, that had to be replaced. */
export class WorkerMetrics implements Subscriber {
  readonly name = "metrics.workers";
  readonly subscriptions: Subscriptions;

  constructor(instruments: Instruments) {
    const restarts = instruments.counter("vitrine_worker_restarts_total");
    const storageRestarts = instruments.counter("vitrine_storage_thread_restarts_total");
    this.subscriptions = {
      "worker.gone": ({ count, cause }) => {
        if (cause !== "stopped") restarts.add(count, { cause });
      },
      "storage_thread.gone": ({ count, cause }) => storageRestarts.add(count, { cause }),
    };
  }
}
