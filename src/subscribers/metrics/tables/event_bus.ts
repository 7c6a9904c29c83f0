import { eventNames } from "../../../events/schema.ts";
import type { MetricRow } from "../table_row.ts";

/** What the event bus says of itself. */
export const eventBusTable = {
  lmcache_mp_event_bus_queue_depth: {
    kind: "gauge",
    unit: "{event}",
    help: "Single events and groups that wait for a drain.",
    answers: "Does the bus keep up?",
    from: "state",
    labels: [],
  },
  lmcache_mp_event_bus_drain_lag_seconds: {
    kind: "gauge",
    unit: "s",
    help: "Age of the oldest event that waits; 0 if none does.",
    answers: "How late are the numbers?",
    from: "state",
    labels: [],
  },
  lmcache_mp_event_bus_dropped_events_total: {
    kind: "counter",
    unit: "{event}",
    help: "Events published that will never be counted.",
    answers: "Can the counters be trusted? They can while this is zero.",
    from: "state",
    labels: [],
  },
  lmcache_mp_event_bus_subscriber_exceptions_total: {
    kind: "counter",
    unit: "{exception}",
    help: "Exceptions thrown by a subscriber.",
    answers: "Is a subscriber broken?",
    from: "state",
    labels: ["subscriber_name"],
  },
  vitrine_eventbus_events_total: {
    kind: "counter",
    unit: "{event}",
    help: "Events by what became of them: published = delivered + rolled_up + lost.",
    answers: "Where do the events go?",
    from: "state",
    labels: ["event", "state"],
    zero: [{ event: eventNames, state: ["published", "delivered", "rolled_up", "lost"] }],
  },
  vitrine_eventbus_shed_events_total: {
    kind: "counter",
    unit: "{event}",
    help: "Events that lost their details because the queue was full; their counts were kept.",
    answers: "Are logs and traces complete?",
    from: "state",
    labels: ["event"],
    zero: [{ event: eventNames }],
  },
} as const satisfies Record<string, MetricRow>;
