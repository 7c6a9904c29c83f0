import type { HrTime } from "@opentelemetry/api";
import {
  AggregationTemporality,
  type DataPoint,
  DataPointType,
  type IMetricReader,
  type MetricData,
  type MetricProducer,
  PeriodicExportingMetricReader,
  type PushMetricExporter,
  type ResourceMetrics,
} from "@opentelemetry/sdk-metrics";
import type { Clock } from "../../core/clock.ts";
import { hrTime } from "../group_metrics.ts";
import type { OtelEnv, OtlpTarget } from "../otel_env.ts";
import { ExportCounts, type PushEnd, pushEnd } from "./push_end.ts";

const DEFAULT_INTERVAL_MS = 60_000;
const DEFAULT_TIMEOUT_MS = 30_000;
const TIMEOUT = "OTEL_METRIC_EXPORT_TIMEOUT";

/** The push of metrics. */
export interface MetricsPush {
  readonly reader: IMetricReader;
  readonly counts: ExportCounts;
}

/**
 * Makes a reader that pushes metrics at an interval. Nothing is queued: values are cumulative, so the next push makes
 * up for a failed one. The exporter is loaded only here, because loading it takes about as long as the rest of the SDK.
 * It reads headers, compression, certificates and its request timeout (OTEL_EXPORTER_OTLP_*) from the process's
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

/** Temporality is always cumulative, as on /metrics: GroupMetrics supports nothing else. */
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

/**
 * Keeps the times of a series from going back, or before its start: databases refuse points that are older than the
 * last one. If wall time is set back, pushes are a millisecond apart until it passes the last push.
 */
export class SteadyTimes {
  readonly #clock: Clock;
  #lastMs = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** The same metrics, as of now. */
  of(metrics: ResourceMetrics): ResourceMetrics {
    this.#lastMs = Math.max(this.#clock.nowMs(), this.#lastMs + 1);
    const endTime = hrTime(this.#lastMs);
    const scopeMetrics = metrics.scopeMetrics.map((scope) => ({
      ...scope,
      metrics: scope.metrics.map((metric) => timed(metric, endTime)),
    }));
    return { ...metrics, scopeMetrics };
  }
}

function timed(metric: MetricData, endTime: HrTime): MetricData {
  const at = <Value>(points: readonly DataPoint<Value>[]): DataPoint<Value>[] =>
    points.map((point) => ({ ...point, endTime, startTime: earlier(point.startTime, endTime) }));
  // One branch for each type of point: a union cannot be spread as a whole.
  switch (metric.dataPointType) {
    case DataPointType.HISTOGRAM:
      return { ...metric, dataPoints: at(metric.dataPoints) };
    case DataPointType.EXPONENTIAL_HISTOGRAM:
      return { ...metric, dataPoints: at(metric.dataPoints) };
    case DataPointType.GAUGE:
      return { ...metric, dataPoints: at(metric.dataPoints) };
    case DataPointType.SUM:
    default:
      return { ...metric, dataPoints: at(metric.dataPoints) };
  }
}

function earlier(a: HrTime, b: HrTime): HrTime {
  return a[0] < b[0] || (a[0] === b[0] && a[1] <= b[1]) ? a : b;
}
