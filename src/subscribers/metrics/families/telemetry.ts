import { counter, type Family, gauge, type Sources } from "../metric.ts";

/** Signals whose items wait in a queue. */
const QUEUED = ["logs", "traces"] as const;
const SIGNALS = ["metrics", ...QUEUED] as const;
/** The subscribers that match start events with end events. */
const CORRELATING = ["tracing.requests", "tracing.storage", "logging.request_log"] as const;

/** The outcomes of one signal's items; all zero if the signal is not pushed. */
const itemsOf = (exports: Sources["exports"], signal: (typeof QUEUED)[number]) =>
  exports.get(signal)?.items ?? { exported: 0, failed: 0, dropped: 0, queued: 0 };

/** Metrics about telemetry itself. */
export const telemetryFamily: Family = {
  name: "metrics.telemetry",
  metrics: [
    counter("vitrine_otlp_exports_total", {
      unit: "{export}",
      help:
        "Pushes to the OTLP collector; a push and its retries count once. failed includes pushes that the collector accepted only in part.",
      answers: "Is the collector reachable?",
      labels: ["signal", "outcome"],
    }).read("exports", (exports) =>
      SIGNALS.flatMap((signal) => [
        [exports.get(signal)?.ok ?? 0, { signal, outcome: "ok" }],
        [exports.get(signal)?.failed ?? 0, { signal, outcome: "failed" }],
      ])),
    counter("vitrine_otlp_items_total", {
      unit: "{item}",
      help: "Log records and spans by outcome; dropped: the queue was full, or the collector rejected them.",
      answers: "Does the collector have complete logs and traces?",
      labels: ["signal", "outcome"],
    }).read("exports", (exports) =>
      QUEUED.flatMap((signal) => {
        const { exported, failed, dropped } = itemsOf(exports, signal);
        return [
          [exported, { signal, outcome: "exported" }],
          [failed, { signal, outcome: "failed" }],
          [dropped, { signal, outcome: "dropped" }],
        ];
      })),
    gauge("vitrine_otlp_queue_items", {
      unit: "{item}",
      help: "Log records and spans waiting for a push.",
      answers: "Does the collector keep up?",
      labels: ["signal"],
    }).read("exports", (exports) => QUEUED.map((signal) => [itemsOf(exports, signal).queued, { signal }])),
    gauge("vitrine_pending_correlations", {
      unit: "{event}",
      help: "Start events waiting for their end event.",
      answers: "Are end events lost, or do requests hang?",
      labels: ["subscriber_name"],
    }).read(
      "correlations",
      (correlations) => CORRELATING.map((name) => [correlations.get(name)?.pending ?? 0, { subscriber_name: name }]),
    ),
    counter("vitrine_correlations_dropped_total", {
      unit: "{event}",
      help: "Start events dropped because too many were waiting for their end event.",
      answers: "Are spans and the request log complete?",
      labels: ["subscriber_name"],
    }).read(
      "correlations",
      (correlations) => CORRELATING.map((name) => [correlations.get(name)?.dropped ?? 0, { subscriber_name: name }]),
    ),
    counter("vitrine_log_lines_total", {
      unit: "{line}",
      help: "Log lines by outcome; suppressed: there were too many of one kind, and a later line has their number.",
      answers: "How much is logged, and how much is suppressed?",
      labels: ["outcome"],
    }).read("logLines", ({ written, suppressed, lost }) => [
      [written, { outcome: "written" }],
      [suppressed, { outcome: "suppressed" }],
      [lost, { outcome: "lost" }],
    ]),
  ],
};

/**
 * Metrics about the event bus itself. Events do not feed them, because the metrics would then count their own events.
 */
export const eventBusFamily: Family = {
  name: "metrics.event_bus",
  metrics: [
    gauge("lmcache_mp_event_bus_queue_depth", {
      unit: "{event}",
      help: "Events published by all threads and not yet dispatched to the subscribers.",
      answers: "Does the event bus keep up?",
    }).read("bus", ({ depth }) => depth),
    gauge("lmcache_mp_event_bus_drain_lag_seconds", {
      unit: "s",
      help: "Upper bound on the age of the oldest event that is not yet dispatched; 0 if there is none.",
      answers: "How far do the metrics lag behind?",
    }).read("bus", ({ lagSeconds }) => lagSeconds),
    counter("lmcache_mp_event_bus_dropped_events_total", {
      unit: "{event}",
      help: "Events that were published, could not be read, and are missing from all counts.",
      answers: "Are the counters complete? They are while this is zero.",
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
        "Events by state: published = delivered + rolled_up + lost. Events that are not yet dispatched are in the queue depth.",
      answers: "What happens to the events?",
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
      help: "Events whose details were dropped because there was no room; their counts were kept.",
      answers: "Are logs and traces complete?",
      labels: ["event"],
    }).read("bus", ({ events }) => Array.from(events, ([event, { shed }]) => [shed, { event }])),
  ],
};
