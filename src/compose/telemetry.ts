import { closeSync, openSync } from "node:fs";
import process from "node:process";
import type { Config } from "../config.ts";
import { causeText } from "../core/cause_text.ts";
import type { Clock } from "../core/clock.ts";
import type { Subscriber } from "../events/subscriber.ts";
import { lineOutput, type Logging, loggingSubscribers } from "../subscribers/logging/mod.ts";
import { type MetricsOptions, metricsSubscribers } from "../subscribers/metrics/mod.ts";
import { tracingSubscribers } from "../subscribers/tracing/mod.ts";
import { initObservability } from "../telemetry/mod.ts";
import { VitrineError } from "../core/errors.ts";
import { openEventsOf } from "../events/live/event_stream.ts";
import { LiveFeed, type LiveSource } from "../events/live/live_feed.ts";
import type { OpenEvents } from "../events/live/wanted_events.ts";
import { every, unrefTimer } from "../core/timers.ts";
import type { BusStats } from "../events/bus.ts";

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
    onPush: (signal, end) => log.pushed?.(signal, end),
  });
  const logging = loggingSubscribers({
    level: config.logLevel,
    write: lineOutput(process.stderr),
    emit: observability.emitLog,
    requestLogPath: config.requestLogPath,
    nowMs: () => options.clock.nowMs(),
    monotonicMs: () => options.clock.monotonicMs(),
    every,
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

/** The longest silence of a stream, in milliseconds. */
const HEARTBEAT_MS = 15_000;

/** The live events of one server. */
export interface LiveEvents {
  readonly open: OpenEvents;
  /** Streams that are open. */
  streams(): number;
  /** Ends every stream; no other is opened from then on. */
  close(): void;
}

/** Live events off a bus; without observability there are none to open. */
export function liveEvents(config: Config, source: LiveSource | undefined): LiveEvents {
  if (source === undefined) {
    return {
      open: () => Promise.reject(new VitrineError("not_found", "open event stream: observability is off")),
      streams: () => 0,
      close() {},
    };
  }
  const feed = new LiveFeed({
    source,
    schedule: unrefTimer,
    nonce: crypto.randomUUID().replaceAll("-", "").slice(0, 12),
  });
  return {
    // More than twice in the time after which a silent connection is closed.
    open: openEventsOf(feed, {
      schedule: unrefTimer,
      heartbeatMs: Math.min(HEARTBEAT_MS, 0.4 * config.idleTimeoutMs),
    }),
    streams: () => feed.listeners,
    close: () => feed.close(),
  };
}

/** How often L1 looks for expired leases and objects, and at its watermark. */
export const TICK_MS = 200;

/** What /metrics answers where there is nothing to show. */
export const OBSERVABILITY_OFF = "# observability is off\n";

/** The bus in /status. */
export function busStatus({ depth, lagSeconds, events }: BusStats): object {
  return {
    queue_depth: depth,
    drain_lag_seconds: lagSeconds,
    by_type: Object.fromEntries([...events].filter(([, counts]) => counts.published > 0)),
  };
}
