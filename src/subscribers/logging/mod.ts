import { causeText } from "../../core/cause_text.ts";
import type { Every } from "../../core/timers.ts";
import type { Subscriber } from "../../events/subscriber.ts";
import type { EnvProblem, PushEnd, Signal } from "../../telemetry/mod.ts";
import { componentSubscriber } from "./event_line.ts";
import { components } from "./lines.ts";
import { Log, type LogOptions } from "./log.ts";
import { LogFile } from "./line_output.ts";
import { Outages, RecentlyTold } from "./repetition.ts";
import { RequestLog } from "./request_log.ts";
import { TelemetryLogging } from "./telemetry.ts";

export { lineOutput } from "./line_output.ts";

/** What the logging subscribers need to know. */
export interface LoggingOptions extends LogOptions {
  /** Path of the request log; default: there is none. */
  readonly requestLogPath?: string | undefined;
  /** Milliseconds since the epoch. */
  readonly nowMs: () => number;
  readonly every: Every;
}

/** The logging subscribers and their numbers. */
export interface Logging {
  readonly subscribers: readonly Subscriber[];
  /** Says which setting of OpenTelemetry cannot be used. */
  readonly setting: (problem: EnvProblem) => void;
  /** Says how pushes to the collector end, where that is news. */
  readonly pushed: (signal: Signal, end: PushEnd) => void;
  /** Closes the request log's file; the next line opens whatever its path names then. */
  readonly reopenFiles: () => void;
  /** What became of the lines, the request log's among them. */
  readonly logLines: () => { readonly written: number; readonly suppressed: number; readonly lost: number };
  /** By subscriber: what has begun and not ended, and what was given up. */
  readonly correlations: () => ReadonlyMap<string, { readonly pending: number; readonly dropped: number }>;
}

const FLUSH_INTERVAL_MS = 200;
/** Successes of before a failure may come after it, with the events that were added up. */
const QUIET_MS = 5000;

/** Every logging subscriber, ready to be subscribed. */
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
  const sink = { log, outages: new Outages(QUIET_MS), told: new RecentlyTold(), monotonicMs: options.monotonicMs };
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
