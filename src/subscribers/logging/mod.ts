import { causeText } from "../../core/errors.ts";
import type { Every } from "../../core/clock.ts";
import type { Subscriber } from "../../events/subscriber.ts";
import type { EnvProblem, PushEnd, Signal } from "../../telemetry/mod.ts";
import { componentSubscriber } from "./event_line.ts";
import { components } from "./lines.ts";
import { Log, LogFile, type LogOptions } from "./log.ts";
import { OncePerMinute, Outages } from "./repetition.ts";
import { RequestLog } from "./request_log.ts";

export { lineOutput } from "./log.ts";

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

const component = "telemetry";

/** Logs failures of pushes and their end, and settings of OpenTelemetry that cannot be used. */
class TelemetryLogging {
  readonly #log: Log;
  readonly #time: Pick<LoggingOptions, "nowMs" | "monotonicMs">;
  readonly #outages = new Outages(0);

  constructor(log: Log, time: Pick<LoggingOptions, "nowMs" | "monotonicMs">) {
    this.#log = log;
    this.#time = time;
  }

  setting({ variable, value, used }: EnvProblem): void {
    this.#log.line({
      level: "warn",
      component,
      message: "a setting cannot be used",
      timeMs: this.#time.nowMs(),
      attributes: { variable, value, used },
      limitedAs: variable,
    });
  }

  pushed(signal: Signal, { error, rejected }: PushEnd): void {
    if (error !== undefined) {
      return this.#failed("a push did not arrive at the collector", { signal, error: causeText(error) });
    }
    this.#worked("a push did not arrive at the collector", signal);
    if (rejected === undefined) return this.#worked("the collector did not take all of a push", signal);
    const { items, message } = rejected;
    this.#failed("the collector did not take all of a push", { signal, error: message, rejected: items });
  }

  #failed(
    message: string,
    attributes: { readonly signal: string; readonly error: string; readonly rejected?: number },
  ): void {
    const kind = `${message} ${attributes.signal}`;
    const monotonicMs = this.#time.monotonicMs();
    const failures = this.#outages.failed(kind, { cause: attributes.error, monotonicMs, count: 1 });
    if (failures === undefined) return;
    const timeMs = this.#time.nowMs();
    this.#log.line({ level: "warn", component, message, timeMs, attributes: { ...attributes, failures } });
  }

  #worked(after: string, signal: string): void {
    const failures = this.#outages.worked(`${after} ${signal}`, this.#time.monotonicMs());
    if (failures === undefined) return;
    const timeMs = this.#time.nowMs();
    const message = "pushes arrive at the collector again";
    this.#log.line({ level: "info", component, message, timeMs, attributes: { signal, failures } });
  }
}
