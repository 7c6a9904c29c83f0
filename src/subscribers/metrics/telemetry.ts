import type { Subscriber } from "../../events/subscriber.ts";
import type { Instruments } from "./support/instruments.ts";

/** What became of the pushes of one signal. */
export interface ExportNumbers {
  readonly ok: number;
  readonly failed: number;
  /** Only of logs and traces: metrics are not queued. */
  readonly items?: {
    readonly exported: number;
    readonly failed: number;
    readonly dropped: number;
    readonly queued: number;
  };
}

/** The numbers of logs, traces and their export about themselves; what is off counts nothing. */
export interface TelemetryNumbers {
  exports(): ReadonlyMap<"metrics" | "logs" | "traces", ExportNumbers>;
  /** By subscriber. */
  correlations(): ReadonlyMap<string, { readonly pending: number; readonly dropped: number }>;
  logLines(): { readonly written: number; readonly suppressed: number; readonly lost: number };
}

/** The subscribers that wait for end events. */
const CORRELATING = ["tracing.requests", "tracing.storage", "logging.request_log"] as const;

/** Shows how telemetry itself fares. */
export class TelemetryMetrics implements Subscriber {
  readonly name = "metrics.telemetry";
  readonly subscriptions = {};

  constructor(instruments: Instruments, numbers: TelemetryNumbers) {
    const exports = instruments.observedCounter("vitrine_otlp_exports_total");
    const items = instruments.observedCounter("vitrine_otlp_items_total");
    const queue = instruments.gauge("vitrine_otlp_queue_items");
    const pending = instruments.gauge("vitrine_pending_correlations");
    const dropped = instruments.observedCounter("vitrine_correlations_dropped_total");
    const lines = instruments.observedCounter("vitrine_log_lines_total");
    instruments.meter.addBatchObservableCallback((result) => {
      const bySignal = numbers.exports();
      for (const signal of ["metrics", "logs", "traces"] as const) {
        const counts = bySignal.get(signal);
        result.observe(exports, counts?.ok ?? 0, { signal, outcome: "ok" });
        result.observe(exports, counts?.failed ?? 0, { signal, outcome: "failed" });
        if (signal === "metrics") continue;
        for (const outcome of ["exported", "failed", "dropped"] as const) {
          result.observe(items, counts?.items?.[outcome] ?? 0, { signal, outcome });
        }
        result.observe(queue, counts?.items?.queued ?? 0, { signal });
      }
      const correlations = numbers.correlations();
      for (const subscriber of CORRELATING) {
        const counts = correlations.get(subscriber);
        result.observe(pending, counts?.pending ?? 0, { subscriber_name: subscriber });
        result.observe(dropped, counts?.dropped ?? 0, { subscriber_name: subscriber });
      }
      for (const [outcome, count] of Object.entries(numbers.logLines())) result.observe(lines, count, { outcome });
    }, [exports, items, queue, pending, dropped, lines]);
  }
}
