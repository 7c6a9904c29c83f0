import type { Every } from "../../core/timers.ts";
import type { Subscriber } from "../../events/subscriber.ts";
import type { EnvProblem, PushEnd, Signal } from "../../telemetry/mod.ts";
import { componentSubscriber } from "./event_line.ts";
import { components } from "./lines.ts";
import { Log, type LogOptions } from "./log.ts";
import { LogFile } from "./line_output.ts";
import { OncePerMinute, Outages } from "./repetition.ts";
import { RequestLog } from "./request_log.ts";
import { TelemetryLogging } from "./telemetry.ts";
import { causeText } from "../../core/errors.ts";

export { lineOutput } from "./line_output.ts";

/** Options of the logging subscribers. */
export interface LoggingOptions extends LogOptions {
  /** Path of the request log. Default: none is written. */
  readonly requestLogPath?: string | undefined;
  /** Milliseconds since the epoch. */
  readonly nowMs: () => number;
  readonly every: Every;
}

/** The logging subscribers and their numbers. */
export interface Logging {
  readonly subscribers: readonly Subscriber[];
  /** Logs a setting of OpenTelemetry that cannot be used. */
  readonly setting: (problem: EnvProblem) => void;
  /** Logs the result of a push to the collector, if it is news. */
  readonly pushed: (signal: Signal, end: PushEnd) => void;
  /** Closes the file of the request log; the next line opens its path again. */
  readonly reopenFiles: () => void;
  /** The number of lines by outcome, including the request log. */
  readonly logLines: () => { readonly written: number; readonly suppressed: number; readonly lost: number };
  /** By subscriber, start events that wait for their end event, and those that were dropped. */
  readonly correlations: () => ReadonlyMap<string, { readonly pending: number; readonly dropped: number }>;
}

const FLUSH_INTERVAL_MS = 200;
/** Aggregated successes may arrive after a later failure. */
const QUIET_MS = 5000;

/** Makes all logging subscribers. */
export function loggingSubscribers(options: LoggingOptions): Logging {
  const log = new Log(options);
  const onFailure = (error: unknown): void =>
    log.line({
      level: "error",
      component: "request_log",
      message: "the request log cannot be written",
      timeMs: options.nowMs(),
      attributes: { error: causeText(error) },
    });
  const { requestLogPath: path } = options;
  const file = path === undefined ? undefined : new LogFile({ path, onFailure });
  const requests = file === undefined ? undefined : new RequestLog(file.write);
  const stopFlushing = file === undefined ? undefined : options.every(FLUSH_INTERVAL_MS, () => file.flush());
  const closing: Subscriber = {
    name: "logging",
    subscriptions: {},
    shutdown() {
      stopFlushing?.();
      file?.close();
      log.close(options.nowMs());
    },
  };
  const telemetry = new TelemetryLogging(log, options);
  const sink = {
    log,
    outages: new Outages(QUIET_MS),
    oncePerMinute: new OncePerMinute(),
    monotonicMs: options.monotonicMs,
  };
  return {
    subscribers: [
      ...components.map((each) => componentSubscriber(each, sink)),
      ...(requests === undefined ? [] : [requests]),
      closing,
    ],
    setting: (problem) => telemetry.setting(problem),
    pushed: (signal, end) => telemetry.pushed(signal, end),
    reopenFiles: () => file?.close(),
    logLines() {
      const { written, suppressed, lost } = log.numbers();
      return { written, suppressed, lost: lost + (file?.lost ?? 0) };
    },
    correlations: () => new Map(requests === undefined ? [] : [[requests.name, requests.numbers()]]),
  };
}
