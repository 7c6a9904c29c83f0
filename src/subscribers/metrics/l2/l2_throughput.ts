import type { Delivered } from "../../../events/delivered.ts";
import type { Subscriber, Subscriptions } from "../../../events/subscriber.ts";
import type { GroupHistogram, Instruments } from "../support/instruments.ts";

/**
 * Measures how fast objects move between L1 and each tier, by LMCache's names. It wants the events one by one, because
 * rates cannot be added up; a group of shed ones counts with the rate of all its bytes in all its time.
 */
export class L2ThroughputMetrics implements Subscriber {
  readonly name = "metrics.l2_throughput";
  readonly subscriptions: Subscriptions;
  readonly detail = ["l2.store.completed", "l2.load.completed"] as const;

  constructor(instruments: Instruments) {
    const stores = instruments.histogram("lmcache_mp_l2_store_throughput_GB_per_second");
    const loads = instruments.histogram("lmcache_mp_l2_load_throughput_GB_per_second");
    this.subscriptions = {
      "l2.store.completed": (event) => record(stores, event),
      "l2.load.completed": (event) => record(loads, event),
    };
  }
}

function record(histogram: GroupHistogram, event: Delivered<"l2.store.completed" | "l2.load.completed">): void {
  const { tier, outcome, bytes, seconds, count } = event;
  if (outcome !== "ok" || bytes === 0 || seconds <= 0) return;
  histogram.record(bytes / (seconds * count) / 1e9, { count, attributes: { l2_name: tier } });
}
