import {
  AggregationTemporality,
  type IMetricReader,
  type MetricProducer,
  PeriodicExportingMetricReader,
  type PushMetricExporter,
} from "@opentelemetry/sdk-metrics";
import { type Env, positiveNumber } from "../env.ts";
import { ExportCounts } from "./export_counts.ts";
import { exportFailure } from "./export_failure.ts";
import type { OtlpTarget } from "../otlp_target.ts";

const DEFAULT_INTERVAL_MS = 60_000;
const DEFAULT_TIMEOUT_MS = 30_000;

/** The push of metrics. */
export interface MetricsPush {
  readonly reader: IMetricReader;
  readonly counts: ExportCounts;
}

/**
 * A reader that pushes metrics in an interval. Nothing is queued: values are cumulative, so the next push makes up for one that failed.
 * The exporter is loaded only here, because loading it takes about as long as the rest of the SDK. It reads headers, compression,
 * certificates and its request timeout (OTEL_EXPORTER_OTLP_*) from the process's own environment.
 */
export async function metricsPush(
  env: Env,
  target: OtlpTarget,
  metricProducers: MetricProducer[],
): Promise<MetricsPush> {
  const { OTLPMetricExporter } = target.protocol === "http/json"
    ? await import("@opentelemetry/exporter-metrics-otlp-http")
    : await import("@opentelemetry/exporter-metrics-otlp-proto");
  const counts = new ExportCounts();
  const exportIntervalMillis = positiveNumber(env["OTEL_METRIC_EXPORT_INTERVAL"]) ?? DEFAULT_INTERVAL_MS;
  const timeoutMs = positiveNumber(env["OTEL_METRIC_EXPORT_TIMEOUT"]) ?? DEFAULT_TIMEOUT_MS;
  const reader = new PeriodicExportingMetricReader({
    exporter: counted(new OTLPMetricExporter({ url: target.url }), counts),
    exportIntervalMillis,
    exportTimeoutMillis: Math.min(timeoutMs, exportIntervalMillis),
    metricProducers,
  });
  return { reader, counts };
}

/** Always cumulative, as on /metrics: our own metrics know nothing else. */
function counted(exporter: PushMetricExporter, counts: ExportCounts): PushMetricExporter {
  return {
    export: (metrics, done) =>
      exporter.export(metrics, (result) => {
        counts.count(exportFailure(result) === undefined);
        done(result);
      }),
    selectAggregationTemporality: () => AggregationTemporality.CUMULATIVE,
    forceFlush: () => exporter.forceFlush(),
    shutdown: () => exporter.shutdown(),
  };
}
