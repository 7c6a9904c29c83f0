import type { EventCounts } from "../../events/ledger/account.ts";
import type { Subscriber } from "../../events/subscriber.ts";
import type { Instruments } from "./support/instruments.ts";

/** The bus's numbers about itself; EventBus.stats and CollectorHub.stats give them. */
export interface BusNumbers {
  readonly depth: number;
  readonly lagSeconds: number;
  readonly events: ReadonlyMap<string, EventCounts>;
  readonly subscriberExceptions: ReadonlyMap<string, number>;
  readonly resentBatches: number;
  readonly ignoredBatches: { readonly duplicate: number; readonly gap: number };
  readonly windowFullSeconds: number;
  readonly flushTimeouts: number;
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
    const resent = instruments.observedCounter("vitrine_eventbus_resent_batches_total");
    const ignored = instruments.observedCounter("vitrine_eventbus_ignored_batches_total");
    const windowFull = instruments.observedCounter("vitrine_eventbus_window_full_seconds_total");
    const timeouts = instruments.observedCounter("vitrine_eventbus_flush_timeouts_total");
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
      result.observe(resent, numbers.resentBatches);
      result.observe(ignored, numbers.ignoredBatches.duplicate, { reason: "duplicate" });
      result.observe(ignored, numbers.ignoredBatches.gap, { reason: "gap" });
      result.observe(windowFull, numbers.windowFullSeconds);
      result.observe(timeouts, numbers.flushTimeouts);
    }, [depth, lag, dropped, exceptions, events, shed, resent, ignored, windowFull, timeouts]);
  }
}
