import { counter, type Family, gauge } from "../metric.ts";
import type { Sources } from "../sources.ts";
/** Signals whose items wait in a queue. */
const QUEUED = ["logs", "traces"] as const;
const SIGNALS = ["metrics", ...QUEUED] as const;
/** The subscribers that wait for end events. */
const CORRELATING = ["tracing.requests", "tracing.storage", "logging.request_log"] as const;

/** The fate of one signal's items. A signal that is not pushed counts nothing. */
const itemsOf = (exports: Sources["exports"], signal: (typeof QUEUED)[number]) =>
  exports.get(signal)?.items ?? { exported: 0, failed: 0, dropped: 0, queued: 0 };

/** Telemetry's numbers about itself. */
export const telemetryFamily: Family = {
  name: "metrics.telemetry",
  metrics: [
    counter("vitrine_otlp_exports_total", {
      unit: "{export}",
      help:
        "Pushes to the OTLP collector that ended, retries included in one; failed: also those of which it did not take all.",
      answers: "Is the collector there?",
      labels: ["signal", "outcome"],
    }).read("exports", (exports) =>
      SIGNALS.flatMap((signal) => [
        [exports.get(signal)?.ok ?? 0, { signal, outcome: "ok" }],
        [exports.get(signal)?.failed ?? 0, { signal, outcome: "failed" }],
      ])),
    counter("vitrine_otlp_items_total", {
      unit: "{item}",
      help:
        "Log records and spans by what became of them; dropped: the queue was full, or the collector rejected them.",
      answers: "Are logs and traces complete at the collector?",
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
      help: "Log records and spans that wait for a push.",
      answers: "Does the collector keep up?",
      labels: ["signal"],
    }).read("exports", (exports) => QUEUED.map((signal) => [itemsOf(exports, signal).queued, { signal }])),
    gauge("vitrine_pending_correlations", {
      unit: "{event}",
      help: "Start events that wait for their end event.",
      answers: "Do end events get lost, or requests hang?",
      labels: ["subscriber_name"],
    }).read(
      "correlations",
      (correlations) => CORRELATING.map((name) => [correlations.get(name)?.pending ?? 0, { subscriber_name: name }]),
    ),
    counter("vitrine_correlations_dropped_total", {
      unit: "{event}",
      help: "Start events given up because too many waited for their end.",
      answers: "Are spans and the request log complete?",
      labels: ["subscriber_name"],
    }).read(
      "correlations",
      (correlations) => CORRELATING.map((name) => [correlations.get(name)?.dropped ?? 0, { subscriber_name: name }]),
    ),
    counter("vitrine_log_lines_total", {
      unit: "{line}",
      help: "Log lines by what became of them; suppressed: too many of their kind, told as a count later.",
      answers: "How much is logged, and how much is kept back?",
      labels: ["outcome"],
    }).read("logLines", ({ written, suppressed, lost }) => [
      [written, { outcome: "written" }],
      [suppressed, { outcome: "suppressed" }],
      [lost, { outcome: "lost" }],
    ]),
  ],
};

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
