import { parseTraceParent } from "../../core/trace_context.ts";
import type { LogEntry } from "../../telemetry/mod.ts";
import type { WriteLine } from "./line_output.ts";
import { RateLimit } from "./repetition.ts";

/** The levels of lines, most severe first. */
const LEVELS = ["error", "warn", "info", "debug"] as const;

/** The level of a line. */
export type Level = (typeof LEVELS)[number];

/** Options of a Log. */
export interface LogOptions {
  /** The minimum level of written lines. */
  readonly level: Level;
  readonly write: WriteLine;
  /** The clock of the limits: wall time may step. */
  readonly monotonicMs: () => number;
  /** Emits an OpenTelemetry log record. Default: none are emitted. */
  readonly emit?: ((entry: LogEntry) => void) | undefined;
}

/** A line. */
export interface Line {
  readonly level: Level;
  readonly component: string;
  /** A fixed text; variable parts are in the attributes. */
  readonly message: string;
  /** The time of the event in milliseconds since the epoch. */
  readonly timeMs: number;
  readonly attributes: Readonly<Record<string, string | number>>;
  /**
   * Distinguishes kinds of lines with the same component and message, which are limited separately. Few values only.
   */
  readonly limitedAs?: string;
  /** The `traceparent` of the request, if known. */
  readonly requestId?: string | undefined;
}

/**
 * Writes lines of JSON and emits OpenTelemetry log records. The number of errors and warnings of one kind is limited;
 * the next line of the kind has the number of suppressed ones.
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

  /** True if lines of a level are written. To be called before making an expensive line. */
  writes(level: Level): boolean {
    return LEVELS.indexOf(level) <= LEVELS.indexOf(this.#options.level);
  }

  /** The number of lines by outcome. */
  numbers(): { readonly written: number; readonly suppressed: number; readonly lost: number } {
    return { written: this.#written, suppressed: this.#limit.suppressed, lost: this.#lost };
  }

  line(line: Line): void {
    if (!this.writes(line.level)) return;
    this.#writeSuppressed(line.timeMs);
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

  /** Writes the numbers of suppressed lines that are not yet written. */
  close(nowMs: number): void {
    this.#writeSuppressed(nowMs, true);
  }

  #writeSuppressed(nowMs: number, all = false): void {
    for (const { kind, suppressed } of this.#limit.takeSuppressed(this.#options.monotonicMs(), all)) {
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
