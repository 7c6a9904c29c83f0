import type { EventCounts } from "../../events/collector.ts";
import type { Subscriber } from "../../events/subscriber.ts";
import type { Instruments } from "./instruments.ts";

/** The bus's numbers about itself; EventBus.stats gives them. */
export interface BusNumbers {
  readonly depth: number;
  readonly lagSeconds: number;
  readonly events: ReadonlyMap<string, EventCounts>;
  readonly subscriberExceptions: ReadonlyMap<string, number>;
}

/** Shows how the event bus itself fares. Not fed by events, or it would count its own work. */
export class EventBusMetrics implements Subscriber {
  readonly name = "metrics.event_bus";
  readonly subscriptions = {};

  constructor(instruments: Instruments, stats: () => BusNumbers) {
    const depth = instruments.gauge("lmcache_mp_event_bus_queue_depth");
    const lag = instruments.gauge("lmcache_mp_event_bus_drain_lag_seconds");
    const dropped = instruments.observedCounter("lmcache_mp_event_bus_dropped_events_total");
    const exceptions = instruments.observedCounter("lmcache_mp_event_bus_subscriber_exceptions_total");
    const events = instruments.observedCounter("vitrine_eventbus_events_total");
    const shed = instruments.observedCounter("vitrine_eventbus_shed_events_total");
    instruments.meter.addBatchObservableCallback((result) => {
      const numbers = stats();
      result.observe(depth, numbers.depth);
      result.observe(lag, numbers.lagSeconds);
      let lost = 0;
      for (const [event, counts] of numbers.events) {
        lost += counts.lost;
        result.observe(events, counts.published, { event, state: "published" });
        result.observe(events, counts.delivered, { event, state: "delivered" });
        result.observe(events, counts.rolledUp, { event, state: "rolled_up" });
        result.observe(events, counts.lost, { event, state: "lost" });
        result.observe(shed, counts.shed, { event });
      }
      result.observe(dropped, lost);
      for (const [subscriber, thrown] of numbers.subscriberExceptions) {
        result.observe(exceptions, thrown, { subscriber_name: subscriber });
      }
    }, [depth, lag, dropped, exceptions, events, shed]);
  }
}
