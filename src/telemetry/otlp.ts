import { type IMetricReader, type MetricProducer, PeriodicExportingMetricReader } from "@opentelemetry/sdk-metrics";
import { VitrineError } from "../core/errors.ts";
import type { Env } from "./resource.ts";

const DEFAULT_INTERVAL_MS = 60_000;
const DEFAULT_TIMEOUT_MS = 30_000;

/**
 * A reader that pushes metrics by OTLP over HTTP as JSON, if OTEL_EXPORTER_OTLP_METRICS_ENDPOINT or OTEL_EXPORTER_OTLP_ENDPOINT is set in
 * `env`. The exporter is loaded only then, because loading it takes about as long as the rest of the SDK. It reads headers, compression,
 * certificates and its request timeout (OTEL_EXPORTER_OTLP_*) from the process's own environment.
 */
export async function otlpReader(env: Env, metricProducers: MetricProducer[]): Promise<IMetricReader | undefined> {
  const url = metricsUrl(env);
  if (url === undefined) return undefined;
  const { OTLPMetricExporter } = await import("@opentelemetry/exporter-metrics-otlp-http");
  const exportIntervalMillis = millis(env["OTEL_METRIC_EXPORT_INTERVAL"]) ?? DEFAULT_INTERVAL_MS;
  const timeoutMs = millis(env["OTEL_METRIC_EXPORT_TIMEOUT"]) ?? DEFAULT_TIMEOUT_MS;
  return new PeriodicExportingMetricReader({
    exporter: new OTLPMetricExporter({ url }),
    exportIntervalMillis,
    exportTimeoutMillis: Math.min(timeoutMs, exportIntervalMillis),
    metricProducers,
  });
}

function metricsUrl(env: Env): string | undefined {
  const own = env["OTEL_EXPORTER_OTLP_METRICS_ENDPOINT"];
  const base = env["OTEL_EXPORTER_OTLP_ENDPOINT"];
  const url = own || (base ? `${base.replace(/\/$/, "")}/v1/metrics` : undefined);
  if (url !== undefined && !URL.canParse(url)) {
    throw new VitrineError("bad_request", `OTLP endpoint is not a URL: ${url}`);
  }
  return url;
}

function millis(text: string | undefined): number | undefined {
  const value = Number(text);
  return Number.isFinite(value) && value > 0 ? value : undefined;
}
