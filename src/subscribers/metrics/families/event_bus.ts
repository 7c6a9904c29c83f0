import { counter, type Family, gauge } from "../metric.ts";

/** The event bus's numbers about itself. Events do not feed them, because they would count their own work. */
export const eventBusFamily: Family = {
  name: "metrics.event_bus",
  metrics: [
    gauge("lmcache_mp_event_bus_queue_depth", {
      unit: "{event}",
      help: "Events published and not dispatched to the subscribers yet, over all workers.",
      answers: "Does the bus keep up?",
    }).read("bus", ({ depth }) => depth),
    gauge("lmcache_mp_event_bus_drain_lag_seconds", {
      unit: "s",
      help:
        "The most that the oldest event that was published and not dispatched yet can have waited, over all workers; 0 if there is none.",
      answers: "How late are the numbers?",
    }).read("bus", ({ lagSeconds }) => lagSeconds),
    counter("lmcache_mp_event_bus_dropped_events_total", {
      unit: "{event}",
      help: "Events published that could not be read, and are in no count.",
      answers: "Can the counters be trusted? They can while this is zero.",
    }).read("bus", ({ events }) => Array.from(events.values()).reduce((sum, { lost }) => sum + lost, 0)),
    counter("lmcache_mp_event_bus_subscriber_exceptions_total", {
      unit: "{exception}",
      help: "Exceptions thrown by a subscriber.",
      answers: "Is a subscriber broken?",
      labels: ["subscriber_name"],
    }).read(
      "bus",
      ({ subscriberExceptions }) =>
        Array.from(subscriberExceptions, ([subscriber, thrown]) => [thrown, { subscriber_name: subscriber }]),
    ),
    counter("vitrine_eventbus_events_total", {
      unit: "{event}",
      help:
        "Events by what became of them: published = delivered + rolled_up + lost; what is on its way is in the queue depth.",
      answers: "Where do the events go?",
      labels: ["event", "state"],
    }).read("bus", ({ events }) =>
      Array.from(events).flatMap(([event, { published, delivered, rolledUp, lost }]) => [
        [published, { event, state: "published" }],
        [delivered, { event, state: "delivered" }],
        [rolledUp, { event, state: "rolled_up" }],
        [lost, { event, state: "lost" }],
      ])),
    counter("vitrine_eventbus_shed_events_total", {
      unit: "{event}",
      help: "Events that lost their details because there was no room for them; their counts were kept.",
      answers: "Are logs and traces complete?",
      labels: ["event"],
    }).read("bus", ({ events }) => Array.from(events, ([event, { shed }]) => [shed, { event }])),
  ],
};
