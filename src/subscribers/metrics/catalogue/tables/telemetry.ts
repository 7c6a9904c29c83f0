import type { MetricRow } from "../table_row.ts";

const SIGNALS = ["metrics", "logs", "traces"] as const;

/** What telemetry says of itself. */
export const telemetryTable = {
  vitrine_otlp_exports_total: {
    kind: "counter",
    unit: "{export}",
    help:
      "Pushes to the OTLP collector that ended, retries included in one; failed: also those of which it did not take all.",
    answers: "Is the collector there?",
    from: "state",
    labels: ["signal", "outcome"],
    zero: [{ signal: SIGNALS, outcome: ["ok", "failed"] }],
  },
  vitrine_otlp_items_total: {
    kind: "counter",
    unit: "{item}",
    help: "Log records and spans by what became of them; dropped: the queue was full, or the collector rejected them.",
    answers: "Are logs and traces complete at the collector?",
    from: "state",
    labels: ["signal", "outcome"],
    zero: [{ signal: ["logs", "traces"], outcome: ["exported", "failed", "dropped"] }],
  },
  vitrine_otlp_queue_items: {
    kind: "gauge",
    unit: "{item}",
    help: "Log records and spans that wait for a push.",
    answers: "Does the collector keep up?",
    from: "state",
    labels: ["signal"],
    zero: [{ signal: ["logs", "traces"] }],
  },
  vitrine_pending_correlations: {
    kind: "gauge",
    unit: "{event}",
    help: "Start events that wait for their end event.",
    answers: "Do end events get lost, or requests hang?",
    from: "state",
    labels: ["subscriber_name"],
    zero: [{ subscriber_name: ["tracing.requests", "tracing.storage", "logging.request_log"] }],
  },
  vitrine_correlations_dropped_total: {
    kind: "counter",
    unit: "{event}",
    help: "Start events given up because too many waited for their end.",
    answers: "Are spans and the request log complete?",
    from: "state",
    labels: ["subscriber_name"],
    zero: [{ subscriber_name: ["tracing.requests", "tracing.storage", "logging.request_log"] }],
  },
  vitrine_log_lines_total: {
    kind: "counter",
    unit: "{line}",
    help: "Log lines by what became of them; suppressed: too many of their kind, told as a count later.",
    answers: "How much is logged, and how much is kept back?",
    from: "state",
    labels: ["outcome"],
    zero: [{ outcome: ["written", "suppressed", "lost"] }],
  },
} as const satisfies Record<string, MetricRow>;
