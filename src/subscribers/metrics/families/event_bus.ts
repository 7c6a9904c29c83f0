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
      help: "Age of the oldest event that was published and not dispatched yet, over all workers; 0 if there is none.",
      answers: "How late are the numbers?",
    }).read("bus", ({ lagSeconds }) => lagSeconds),
    counter("lmcache_mp_event_bus_dropped_events_total", {
      unit: "{event}",
      help: "Events published that will never be counted.",
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
      help: "Events that lost their details because the queue was full; their counts were kept.",
      answers: "Are logs and traces complete?",
      labels: ["event"],
    }).read("bus", ({ events }) => Array.from(events, ([event, { shed }]) => [shed, { event }])),
    counter("vitrine_eventbus_resent_batches_total", {
      unit: "{batch}",
      help: "Batches of events that a worker sent again because no acknowledgement came.",
      answers: "Does the channel lose messages, or is the collector slow?",
    }).read("bus", ({ resentBatches }) => resentBatches),
    counter("vitrine_eventbus_ignored_batches_total", {
      unit: "{batch}",
      help: "Batches that came a second time, or before one that is missing; neither is counted.",
      answers: "Duplicates: is the collector slow? Gaps: does the channel lose messages?",
      labels: ["reason"],
    }).read("bus", ({ ignoredBatches: { duplicate, gap } }) => [
      [duplicate, { reason: "duplicate" }],
      [gap, { reason: "gap" }],
    ]),
    counter("vitrine_eventbus_window_full_seconds_total", {
      unit: "s",
      help: "Time that workers could not send because too many batches were unacknowledged.",
      answers: "Does the collector keep up? Meanwhile details are shed, never counts.",
    }).read("bus", ({ windowFullSeconds }) => windowFullSeconds),
    counter("vitrine_eventbus_flush_timeouts_total", {
      unit: "{flush}",
      help: "Workers that did not deliver what they had by a scrape's deadline.",
      answers: "Were scrapes complete? They were while this is zero.",
    }).read("bus", ({ flushTimeouts }) => flushTimeouts),
  ],
};
