import type { Meter } from "@opentelemetry/api";
import { PrometheusExporter, PrometheusSerializer } from "@opentelemetry/exporter-prometheus";
import { type Resource, resourceFromAttributes } from "@opentelemetry/resources";
import { MeterProvider } from "@opentelemetry/sdk-metrics";
import { type Clock, within } from "../core/clock.ts";
import {
  type CounterOptions,
  type GroupCounter,
  type GroupHistogram,
  GroupMetrics,
  type HistogramOptions,
} from "./group_metrics.ts";
import {
  checkExporterEnv,
  checkNames,
  type Env,
  type EnvProblem,
  OtelEnv,
  otlpTarget,
  type Signal,
} from "./otel_env.ts";
import type { ItemNumbers } from "./push/batch_queue.ts";
import { type LogEntry, logsPush } from "./push/logs_push.ts";
import { metricsPush } from "./push/metrics_push.ts";
import { listenToExporters, type PushEnd } from "./push/push_end.ts";
import { type FinishedSpan, type SpanEvent, tracesPush } from "./push/traces_push.ts";
import { samplerOf } from "./request_tracer.ts";

export type { EnvProblem, FinishedSpan, GroupCounter, GroupHistogram, LogEntry, PushEnd, Signal, SpanEvent };

/** Settings of the telemetry. */
export interface ObservabilityConfig {
  /** The environment with the standard OTEL_* variables. */
  readonly env: Env;
  readonly clock: Clock;
  /** service.version. */
  readonly version: string;
  /** service.instance.id, unless OTEL_RESOURCE_ATTRIBUTES has one. */
  readonly instanceId: string;
  /** Called with the result of each push; must not throw. */
  readonly onPush?: (signal: Signal, end: PushEnd) => void;
  /** Maximum duration of the last push at shutdown. Default 2000. */
  readonly shutdownTimeoutMs?: number;
  /** Maximum time that a scrape waits for gauges; late ones are omitted. Default 2000. */
  readonly collectTimeoutMs?: number;
}

/** The pushes of a signal by result, and the items of a queued signal. */
export interface ExportNumbers {
  readonly ok: number;
  readonly failed: number;
  readonly items?: ItemNumbers;
}

/** The OpenTelemetry SDK, set up. */
export interface Observability {
  readonly meter: Meter;
  /** Invalid values in the environment. */
  readonly problems: readonly EnvProblem[];
  createHistogram(name: string, options: HistogramOptions): GroupHistogram;
  createCounter(name: string, options: CounterOptions): GroupCounter;
  /** Records a finished span; undefined if no traces are pushed. Never throws or waits. */
  readonly recordSpan: ((span: FinishedSpan) => void) | undefined;
  /** Records a log record; undefined if no logs are pushed. Never throws or waits. */
  readonly emitLog: ((entry: LogEntry) => void) | undefined;
  /** The results by pushed signal. */
  exports(): ReadonlyMap<Signal, ExportNumbers>;
  /** All metrics in the Prometheus text format 0.0.4, each series with the label service_instance_id. */
  prometheusText(): Promise<string>;
  /**
   * Pushes for the last time and ends. Returns, by pushed signal, whether that arrived. Never throws, and never takes
   * longer than its timeout.
   */
  shutdown(): Promise<ReadonlyMap<Signal, boolean>>;
}

const SCOPE = "vitrine";
const SIGNALS = ["metrics", "logs", "traces"] as const satisfies readonly Signal[];

/**
 * Sets up the OpenTelemetry SDK. Metrics can always be pulled. Signals are pushed if the environment says so, and the
 * exporters are loaded only then.
 */
export async function initObservability(config: ObservabilityConfig): Promise<Observability> {
  const { clock, onPush = () => {}, shutdownTimeoutMs = 2000, collectTimeoutMs = 2000 } = config;
  const env = new OtelEnv(config.env);
  const resource = resourceOf(env, config);
  const own = new GroupMetrics(SCOPE, clock);
  const metricProducers = [own];
  const pull = new PrometheusExporter({ preventServerStart: true, metricProducers });
  const targets = {
    metrics: otlpTarget(env, "metrics"),
    logs: otlpTarget(env, "logs"),
    traces: otlpTarget(env, "traces"),
  };
  const isPushed = SIGNALS.filter((signal) => targets[signal] !== undefined);
  if (isPushed.length > 0) listenToExporters();
  for (const signal of isPushed) checkExporterEnv(env, signal);
  if (targets.traces !== undefined) samplerOf(env);
  checkNames(env);
  const onEnd = (signal: Signal) => (end: PushEnd) => onPush(signal, end);
  const metrics = targets.metrics &&
    await metricsPush(env, targets.metrics, { metricProducers, clock, onEnd: onEnd("metrics") });
  const logs = targets.logs && await logsPush(env, targets.logs, { scope: SCOPE, resource, onEnd: onEnd("logs") });
  const traces = targets.traces &&
    await tracesPush(env, targets.traces, { scope: SCOPE, resource, onEnd: onEnd("traces") });
  const provider = new MeterProvider({ resource, readers: metrics === undefined ? [pull] : [pull, metrics.reader] });
  const serializer = new PrometheusSerializer("", false, /^service\.instance\.id$/, false, true);
  return {
    problems: env.problems,
    meter: provider.getMeter(SCOPE),
    createHistogram: (name, options) => own.createHistogram(name, options),
    createCounter: (name, options) => own.createCounter(name, options),
    recordSpan: traces?.record,
    emitLog: logs?.emit,
    exports() {
      const numbers = new Map<Signal, ExportNumbers>();
      if (metrics !== undefined) numbers.set("metrics", { ok: metrics.counts.ok, failed: metrics.counts.failed });
      for (const [signal, push] of [["logs", logs], ["traces", traces]] as const) {
        if (push === undefined) continue;
        numbers.set(signal, { ok: push.counts.ok, failed: push.counts.failed, items: push.queue.numbers() });
      }
      return numbers;
    },
    async prometheusText() {
      const { resourceMetrics } = await pull.collect({ timeoutMillis: collectTimeoutMs });
      return serializer.serialize(resourceMetrics);
    },
    async shutdown() {
      // If the collector is down or hangs, only the last push may be lost.
      const pushing = provider.shutdown({ timeoutMillis: shutdownTimeoutMs });
      const signals = [
        ["metrics", metrics, pushing],
        ["logs", logs, logs?.shutdown()],
        ["traces", traces, traces?.shutdown()],
      ] as const;
      const arrived = new Map<Signal, boolean>();
      const endings = signals.map(async ([signal, push, ending]) => {
        if (push === undefined) return await ending;
        const { failed } = push.counts;
        arrived.set(signal, false);
        await ending;
        arrived.set(signal, push.counts.failed === failed);
      });
      await within(shutdownTimeoutMs, Promise.allSettled(endings));
      return new Map(arrived);
    },
  };
}

const ATTRIBUTES = "OTEL_RESOURCE_ATTRIBUTES";

/**
 * The resource: service.name, service.version and service.instance.id, extended or overridden by
 * OTEL_RESOURCE_ATTRIBUTES (comma-separated key=value, percent-encoded). OTEL_SERVICE_NAME takes precedence over both.
 */
function resourceOf(
  env: OtelEnv,
  defaults: { readonly version: string; readonly instanceId: string },
): Resource {
  const serviceName = env.text("OTEL_SERVICE_NAME");
  return resourceFromAttributes({
    "service.name": "vitrine",
    "service.version": defaults.version,
    "service.instance.id": defaults.instanceId,
    ...attributesOf(env),
    ...(serviceName === undefined ? {} : { "service.name": serviceName }),
  });
}

/** Malformed pairs are omitted and recorded. */
function attributesOf(env: OtelEnv): Readonly<Record<string, string>> {
  const pairs = (env.text(ATTRIBUTES) ?? "").split(",").filter((pair) => pair.trim() !== "").map((pair) => {
    const [key = "", ...value] = pair.split("=");
    return [decode(key.trim()), decode(value.join("=").trim())] as const;
  });
  const sound = pairs.filter(([key, value]) => key && value);
  if (sound.length < pairs.length) {
    env.cannotUse(ATTRIBUTES, `the ${sound.length} of ${pairs.length} pairs that are key=value`);
  }
  return Object.fromEntries(sound);
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return "";
  }
}
