import type { Subscriber, Subscriptions } from "../../events/subscriber.ts";
import type { Instruments } from "./support/instruments.ts";

/** Counts what the storage manager is asked: the six sm_* counters of LMCache's original design. */
export class SmMetrics implements Subscriber {
  readonly name = "metrics.sm";
  readonly subscriptions: Subscriptions;

  constructor(instruments: Instruments) {
    const readRequests = instruments.counter("lmcache_mp_sm_read_requests_total");
    const readSucceeded = instruments.counter("lmcache_mp_sm_read_succeed_keys_total");
    const readFailed = instruments.counter("lmcache_mp_sm_read_failed_keys_total");
    const writeRequests = instruments.counter("lmcache_mp_sm_write_requests_total");
    const writeSucceeded = instruments.counter("lmcache_mp_sm_write_succeed_keys_total");
    const writeFailed = instruments.counter("lmcache_mp_sm_write_failed_keys_total");
    this.subscriptions = {
      "sm.read.prefetched": ({ count, succeeded, failed }) => {
        readRequests.add(count);
        readSucceeded.add(succeeded);
        readFailed.add(failed);
      },
      "sm.write.reserved": ({ count, succeeded, failed }) => {
        writeRequests.add(count);
        writeSucceeded.add(succeeded);
        writeFailed.add(failed);
      },
    };
  }
}
