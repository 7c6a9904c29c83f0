import type { Subscriber, Subscriptions } from "../../events/subscriber.ts";
import type { Instruments } from "./instruments.ts";

/** Counts lookups: both sides of every hit rate, from one event. */
export class LookupMetrics implements Subscriber {
  readonly name = "metrics.lookup";
  readonly subscriptions: Subscriptions;

  constructor(instruments: Instruments) {
    const lookups = instruments.counter("vitrine_lookups_total");
    this.subscriptions = {
      "lookup.finished": ({ tier, result, keys }) => lookups.add(keys, { tier: tier === "" ? "none" : tier, result }),
    };
  }
}
