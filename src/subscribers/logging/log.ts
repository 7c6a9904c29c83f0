import { parseTraceParent } from "../../core/trace_context.ts";
import type { LogEntry } from "../../telemetry/mod.ts";
import type { WriteLine } from "./line_output.ts";
import { RateLimit } from "./repetition.ts";

/** The levels of lines, the gravest first. */
const LEVELS = ["error", "warn", "info", "debug"] as const;

/** The level of a line. */
export type Level = (typeof LEVELS)[number];

/** What a log is made with. */
export interface LogOptions {
  /** Lines of this level and graver ones are written. */
  readonly level: Level;
  readonly write: WriteLine;
  /** What the limits go by: not wall time, which steps. */
  readonly monotonicMs: () => number;
  /** Where OpenTelemetry takes log records; default: nowhere. */
  readonly emit?: ((entry: LogEntry) => void) | undefined;
}

/** A line. */
export interface Line {
  readonly level: Level;
  readonly component: string;
  /** A fixed text: what is particular is in the attributes. */
  readonly message: string;
  /** Milliseconds since the epoch, of the event. */
  readonly timeMs: number;
  readonly attributes: Readonly<Record<string, string | number>>;
  /**
   * What it is limited with, besides its component and message: lines that differ in it are of different kinds. Few
   * values only.
   */
  readonly limitedAs?: string;
  /** The `traceparent` of the request, where it is known. */
  readonly requestId?: string | undefined;
}

/**
 * Writes structured lines, one JSON object each, and OpenTelemetry log records. Errors and warnings of one kind are
 * limited in number; how many were kept back is told with the next one.
 */
export class Log {
  readonly #options: LogOptions;
  readonly #limit = new RateLimit();
  readonly #kinds = new Map<string, Line>();
  #written = 0;
  #lost = 0;

  constructor(options: LogOptions) {
    this.#options = options;
  }

  /** Whether lines of a level are written: to be asked before an expensive one is made. */
  writes(level: Level): boolean {
    return LEVELS.indexOf(level) <= LEVELS.indexOf(this.#options.level);
  }

  /** What became of the lines. */
  numbers(): { readonly written: number; readonly suppressed: number; readonly lost: number } {
    return { written: this.#written, suppressed: this.#limit.suppressed, lost: this.#lost };
  }

  line(line: Line): void {
    if (!this.writes(line.level)) return;
    this.#tellUntold(line.timeMs);
    if (line.level === "info" || line.level === "debug") return this.#put(line);
    const kind = `${line.component} ${line.message} ${line.limitedAs ?? ""}`;
    const admission = this.#limit.admit(kind, this.#options.monotonicMs());
    if (!admission.passes) {
      this.#kinds.set(kind, line);
      return;
    }
    const { suppressed } = admission;
    this.#put(suppressed === 0 ? line : { ...line, attributes: { ...line.attributes, suppressed } });
  }

  /** Tells what is still to be told of lines that were kept back. */
  close(nowMs: number): void {
    this.#tellUntold(nowMs, true);
  }

  #tellUntold(nowMs: number, all = false): void {
    for (const { kind, suppressed } of this.#limit.takeUntold(this.#options.monotonicMs(), all)) {
      const last = this.#kinds.get(kind);
      this.#kinds.delete(kind);
      if (last !== undefined) this.#put({ ...last, timeMs: nowMs, attributes: { ...last.attributes, suppressed } });
    }
  }

  #put({ level, component, message, timeMs, attributes, requestId }: Line): void {
    const trace = requestId === undefined ? undefined : parseTraceParent(requestId);
    const record = {
      time: new Date(timeMs).toISOString(),
      level,
      component,
      message,
      ...(trace === undefined ? {} : { request_id: trace.spanId, trace_id: trace.traceId }),
      ...attributes,
    };
    if (this.#options.write(JSON.stringify(record))) this.#written++;
    else this.#lost++;
    this.#options.emit?.({ timeMs, level, message, attributes: { component, ...attributes }, trace });
  }
}
