import { closeSync, openSync } from "node:fs";
import process from "node:process";
import type { Config } from "../config.ts";
import { type Clock, every, unrefTimer } from "../core/clock.ts";
import { causeText, VitrineError } from "../core/errors.ts";
import type { BusStats } from "../events/bus.ts";
import { openEventsOf } from "../events/live/event_stream.ts";
import { LIVE_LIMITS, LiveFeed, type LiveSource } from "../events/live/live_feed.ts";
import type { OpenEvents } from "../events/live/live_listener.ts";
import type { Subscriber } from "../events/subscriber.ts";
import { lineOutput, type Logging, loggingSubscribers } from "../subscribers/logging/mod.ts";
import { type MetricsOptions, metricsSubscribers } from "../subscribers/metrics/mod.ts";
import { tracingSubscribers } from "../subscribers/tracing.ts";

/** Options of openTelemetry. */
export interface TelemetryOptions {
  readonly config: Config;
  readonly version: string;
  /** The environment with the standard OTEL_* variables. */
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly clock: Clock;
  readonly instanceId: string;
}

/** The part of an EventBus that takes subscribers. */
interface Source {
  subscribe(subscriber: Subscriber): unknown;
}

/** Metrics, logs and traces of one server. */
export interface Telemetry {
  /** Adds all subscribers. The options are the sources of metrics. */
  subscribe(
    bus: Source,
    options: Omit<MetricsOptions, "source" | "tenantLabels" | "telemetry" | "process" | "monotonicMs">,
  ): void;
  /** All metrics in the Prometheus text format. */
  prometheusText(): Promise<string>;
  /** Reopens log files that another program has renamed. */
  reopenFiles(): void;
  /** Pushes for the last time, after the bus has stopped. Returns, by signal, whether that arrived. Never throws. */
  shutdown(): Promise<ReadonlyMap<string, boolean>>;
}

/** Throws if the request log cannot be written now. Later failures only lose lines. */
export function checkRequestLog({ requestLogPath: path }: Pick<Config, "requestLogPath">): void {
  if (path === undefined) return;
  try {
    closeSync(openSync(path, "a", 0o600));
  } catch (cause) {
    throw new Error(`open --request-log ${path}: ${causeText(cause)}`, { cause });
  }
}

/** Sets up metrics, logs and traces on the collector's thread. */
export async function openTelemetry({ config, ...options }: TelemetryOptions): Promise<Telemetry> {
  // The results of pushes before the log exists are ignored.
  const log: { pushed?: Logging["pushed"] } = {};
  // Loading the SDK takes longer than anything else at start, so the workers start meanwhile.
  const { initObservability } = await import("../telemetry/mod.ts");
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

/** Maximum silence of a stream. */
const HEARTBEAT_MS = 15_000;

/** The live events of a server. */
export interface LiveEvents {
  readonly open: OpenEvents;
  /** The number of open streams. */
  streams(): number;
  /** Ends all streams and refuses further ones. */
  close(): void;
}

/** The live events of a bus. Without observability, no stream can be opened. */
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
    limits: { ...LIVE_LIMITS, listeners: config.maxEventStreams },
    nonce: crypto.randomUUID().replaceAll("-", "").slice(0, 12),
  });
  return {
    // At least two heartbeats within the idle time-out of a connection.
    open: openEventsOf(feed, {
      schedule: unrefTimer,
      heartbeatMs: Math.min(HEARTBEAT_MS, 0.4 * config.idleTimeoutMs),
    }),
    streams: () => feed.listeners,
    close: () => feed.close(),
  };
}

/** The text of /metrics without observability. */
export const OBSERVABILITY_OFF = "# observability is off\n";

/** The status of the bus for /status. */
export function busStatus({ depth, lagSeconds, events }: BusStats): object {
  return {
    queue_depth: depth,
    drain_lag_seconds: lagSeconds,
    by_type: Object.fromEntries([...events].filter(([, counts]) => counts.published > 0)),
  };
}
