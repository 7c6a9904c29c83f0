import type { Meter } from "@opentelemetry/api";
import { PrometheusExporter, PrometheusSerializer } from "@opentelemetry/exporter-prometheus";
import { MeterProvider } from "@opentelemetry/sdk-metrics";
import type { Clock } from "../core/clock.ts";
import type { GroupHistogram, HistogramOptions } from "./group_histogram.ts";
import { GroupHistograms } from "./group_histograms.ts";
import { otlpReader } from "./otlp.ts";
import { type Env, resourceOf } from "./resource.ts";

/** Settings of the telemetry. */
export interface ObservabilityConfig {
  /** Where the standard OTEL_* variables are looked up. */
  readonly env: Env;
  readonly clock: Clock;
  /** service.version. */
  readonly version: string;
  /** service.instance.id, unless OTEL_RESOURCE_ATTRIBUTES has one. */
  readonly instanceId: string;
  /** How long the last push may take when shutting down. Default 2000. */
  readonly shutdownTimeoutMs?: number;
  /** How long a scrape waits for the gauges; what is not there by then is left out. Default 2000. */
  readonly collectTimeoutMs?: number;
}

/** The OpenTelemetry SDK, set up. */
export interface Observability {
  readonly meter: Meter;
  createHistogram(name: string, options: HistogramOptions): GroupHistogram;
  /** All metrics in the Prometheus text format 0.0.4, each series with the label service_instance_id. */
  prometheusText(): Promise<string>;
  /** Pushes once more where pushing is on, and ends. Never throws, and never takes longer than its timeout. */
  shutdown(): Promise<void>;
}

const SCOPE = "vitrine";

/** Sets up the OpenTelemetry SDK: the one place where that happens. Metrics can always be pulled, and are pushed as well where the environment says so. */
export async function initObservability(config: ObservabilityConfig): Promise<Observability> {
  const histograms = new GroupHistograms(SCOPE, config.clock);
  const metricProducers = [histograms];
  const pull = new PrometheusExporter({ preventServerStart: true, metricProducers });
  const push = await otlpReader(config.env, metricProducers);
  const provider = new MeterProvider({
    resource: resourceOf(config.env, config),
    readers: push === undefined ? [pull] : [pull, push],
  });
  const serializer = new PrometheusSerializer("", false, /^service\.instance\.id$/, false, true);
  return {
    meter: provider.getMeter(SCOPE),
    createHistogram: (name, options) => histograms.create(name, options),
    async prometheusText() {
      const { resourceMetrics } = await pull.collect({ timeoutMillis: config.collectTimeoutMs ?? 2000 });
      return serializer.serialize(resourceMetrics);
    },
    async shutdown() {
      try {
        await provider.shutdown({ timeoutMillis: config.shutdownTimeoutMs ?? 2000 });
      } catch {
        // A collector that is down or hangs: the last push is lost, and nothing else may be.
      }
    },
  };
}
