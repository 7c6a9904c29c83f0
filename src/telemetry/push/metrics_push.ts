import type { Clock } from "../../core/clock.ts";
import {
  AggregationTemporality,
  type IMetricReader,
  type MetricProducer,
  PeriodicExportingMetricReader,
  type PushMetricExporter,
} from "@opentelemetry/sdk-metrics";
import type { OtelEnv } from "../env.ts";
import { ExportCounts, type PushEnd, pushEnd } from "./push_end.ts";
import { SteadyTimes } from "./steady_times.ts";
import type { OtlpTarget } from "../otlp_target.ts";

const DEFAULT_INTERVAL_MS = 60_000;
const DEFAULT_TIMEOUT_MS = 30_000;
const TIMEOUT = "OTEL_METRIC_EXPORT_TIMEOUT";

/** The push of metrics. */
export interface MetricsPush {
  readonly reader: IMetricReader;
  readonly counts: ExportCounts;
}

/**
 * A reader that pushes metrics in an interval. Nothing is queued: values are cumulative, so the next push makes up for
 * one that failed. The exporter is loaded only here, because loading it takes about as long as the rest of the SDK. It
 * reads headers, compression, certificates and its request timeout (OTEL_EXPORTER_OTLP_*) from the process's own
 * environment.
 */
export async function metricsPush(
  env: OtelEnv,
  target: OtlpTarget,
  { metricProducers, clock, onEnd }: {
    readonly metricProducers: MetricProducer[];
    readonly clock: Clock;
    readonly onEnd: (end: PushEnd) => void;
  },
): Promise<MetricsPush> {
  const { OTLPMetricExporter } = target.protocol === "http/json"
    ? await import("@opentelemetry/exporter-metrics-otlp-http")
    : await import("@opentelemetry/exporter-metrics-otlp-proto");
  const counts = new ExportCounts(onEnd);
  const exportIntervalMillis = env.number("OTEL_METRIC_EXPORT_INTERVAL", DEFAULT_INTERVAL_MS);
  const timeoutMs = env.number(TIMEOUT, DEFAULT_TIMEOUT_MS);
  if (env.text(TIMEOUT) !== undefined && timeoutMs > exportIntervalMillis) {
    env.cannotUse(TIMEOUT, `${exportIntervalMillis}, the interval`);
  }
  const reader = new PeriodicExportingMetricReader({
    exporter: counted(new OTLPMetricExporter({ url: target.url }), counts, new SteadyTimes(clock)),
    exportIntervalMillis,
    exportTimeoutMillis: Math.min(timeoutMs, exportIntervalMillis),
    metricProducers,
  });
  return { reader, counts };
}

/** Always cumulative, as on /metrics: our own metrics know nothing else. */
function counted(exporter: PushMetricExporter, counts: ExportCounts, times: SteadyTimes): PushMetricExporter {
  return {
    export: (metrics, done) =>
      exporter.export(times.of(metrics), (result) => {
        counts.count(pushEnd(result));
        done(result);
      }),
    selectAggregationTemporality: () => AggregationTemporality.CUMULATIVE,
    forceFlush: () => exporter.forceFlush(),
    shutdown: () => exporter.shutdown(),
  };
}
