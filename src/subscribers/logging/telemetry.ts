import type { EnvProblem, PushEnd, Signal } from "../../telemetry/mod.ts";
import type { Log } from "./log.ts";
import { Outages } from "./repetition.ts";
import { causeText } from "../../core/errors.ts";

/** The clock of a log. */
export interface LogTime {
  /** Wall time. */
  readonly nowMs: () => number;
  readonly monotonicMs: () => number;
}

const component = "telemetry";

/** Logs failures of pushes and their end, and settings of OpenTelemetry that cannot be used. */
export class TelemetryLogging {
  readonly #log: Log;
  readonly #time: LogTime;
  readonly #outages = new Outages(0);

  constructor(log: Log, time: LogTime) {
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
