import { closeSync, openSync } from "node:fs";
import process from "node:process";
import { clearInterval, setInterval } from "node:timers";
import type { Config } from "../config.ts";
import { causeText } from "../core/errors.ts";
import type { Clock } from "../core/clock.ts";
import type { Subscriber } from "../events/subscriber.ts";
import { lineOutput, type Logging, loggingSubscribers } from "../subscribers/logging/mod.ts";
import { type MetricsOptions, metricsSubscribers } from "../subscribers/metrics/mod.ts";
import { tracingSubscribers } from "../subscribers/tracing/mod.ts";
import { initObservability } from "../telemetry/mod.ts";

/** What telemetry is opened with. */
export interface TelemetryOptions {
  readonly config: Config;
  readonly version: string;
  /** Where the standard OTEL_* variables are looked up. */
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly clock: Clock;
  readonly instanceId: string;
}

/** The receiving end of a bus: EventBus fits. */
interface Source {
  subscribe(subscriber: Subscriber): unknown;
}

/** Metrics, logs and traces of one server. */
export interface Telemetry {
  /** Subscribes everything; the options say what the metrics look at. */
  subscribe(
    bus: Source,
    options: Omit<MetricsOptions, "source" | "tenantLabels" | "telemetry" | "process" | "monotonicMs">,
  ): void;
  /** All metrics in the Prometheus text format. */
  prometheusText(): Promise<string>;
  /** Opens log files again, whose names another program has changed. */
  reopenFiles(): void;
  /** Pushes what waits and ends; after the bus has stopped. Tells by signal whether that arrived. Never throws. */
  shutdown(): Promise<ReadonlyMap<string, boolean>>;
}

/** Throws if the request log cannot be written now: later on, failures only cost lines. */
export function checkRequestLog({ requestLogPath: path }: Pick<Config, "requestLogPath">): void {
  if (path === undefined) return;
  try {
    closeSync(openSync(path, "a", 0o600));
  } catch (cause) {
    throw new Error(`open --request-log ${path}: ${causeText(cause)}`, { cause });
  }
}

/**
 * Sets metrics, logs and traces up, on the thread where events arrive. Throws VitrineError for an endpoint that cannot
 * be used.
 */
export async function openTelemetry({ config, ...options }: TelemetryOptions): Promise<Telemetry> {
  // Whatever is pushed before there is a log is not known to have failed.
  const log: { pushed?: Logging["pushed"] } = {};
  const observability = await initObservability({
    ...options,
    onPush: (signal, { error, rejected }) =>
      log.pushed?.({ signal, error: error === undefined ? undefined : causeText(error), rejected }),
  });
  const logging = loggingSubscribers({
    level: config.logLevel,
    write: lineOutput(process.stderr),
    emit: observability.emitLog,
    requestLogPath: config.requestLogPath,
    nowMs: () => options.clock.nowMs(),
    monotonicMs: () => options.clock.monotonicMs(),
    every(intervalMs, run) {
      const timer = setInterval(run, intervalMs);
      timer.unref();
      return () => clearInterval(timer);
    },
  });
  log.pushed = logging.pushed;
  for (const problem of observability.problems) logging.setting(problem);
  const tracing = observability.recordSpan === undefined ? undefined : tracingSubscribers(observability.recordSpan);
  return {
    subscribe(bus, metrics) {
      const subscribers = [
        ...metricsSubscribers({
          ...metrics,
          source: observability,
          tenantLabels: config.tenantLabels,
          monotonicMs: () => options.clock.monotonicMs(),
          telemetry: {
            exports: () => observability.exports(),
            correlations: () => new Map([...logging.correlations(), ...tracing?.correlations() ?? []]),
            logLines: () => logging.logLines(),
          },
        }),
        ...logging.subscribers,
        ...tracing?.subscribers ?? [],
      ];
      for (const subscriber of subscribers) bus.subscribe(subscriber);
    },
    reopenFiles: () => logging.reopenFiles(),
    prometheusText: () => observability.prometheusText(),
    shutdown: () => observability.shutdown(),
  };
}
