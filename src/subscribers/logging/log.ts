import { Buffer } from "node:buffer";
import { closeSync, openSync, writeSync } from "node:fs";
import { parseTraceParent } from "../../core/events.ts";
import type { LogEntry } from "../../telemetry/mod.ts";
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

/** Writes a line; false if there is no room and the line is lost. Never throws or waits. */
export type WriteLine = (line: string) => boolean;

/** A writable stream of Node's kind, such as process.stderr. */
export interface LineStream {
  write(text: string): unknown;
  readonly writableLength?: number;
  readonly destroyed?: boolean;
}

/** Maximum number of bytes that wait to be written. */
const MAX_WAITING_BYTES = 1024 * 1024;

/** Writes to a stream while at most 1 MiB waits in it: a reader that hangs costs lines, not memory. */
export function lineOutput(stream: LineStream): WriteLine {
  return (line) => {
    if (stream.destroyed === true || (stream.writableLength ?? 0) > MAX_WAITING_BYTES) return false;
    try {
      stream.write(`${line}\n`);
      return true;
    } catch {
      return false;
    }
  };
}

/** Settings of a log file. */
export interface LogFileOptions {
  readonly path: string;
  /** Called with the first failure after a success. */
  readonly onFailure?: (error: unknown) => void;
}

/**
 * A file of lines, appended in batches. After a failure lines are lost until a write succeeds. The file stays open
 * until `close`, also when a tool such as logrotate renames it.
 */
export class LogFile {
  readonly #options: LogFileOptions;
  #file: number | undefined;
  #waiting: string[] = [];
  #waitingBytes = 0;
  #lost = 0;
  #isFailing = false;

  constructor(options: LogFileOptions) {
    this.#options = options;
  }

  /** The number of lines that could not be written. */
  get lost(): number {
    return this.#lost;
  }

  /** Queues a line for the next flush. */
  readonly write: WriteLine = (line) => {
    const bytes = Buffer.byteLength(line) + 1;
    if (this.#waitingBytes + bytes > MAX_WAITING_BYTES) this.flush();
    this.#waiting.push(line);
    this.#waitingBytes += bytes;
    return true;
  };

  /** Writes the queued lines. Never throws. */
  flush(): void {
    if (this.#waiting.length === 0) return;
    const lines = this.#waiting;
    this.#waiting = [];
    this.#waitingBytes = 0;
    try {
      this.#file ??= openSync(this.#options.path, "a", 0o600);
      writeAll(this.#file, Buffer.from(`${lines.join("\n")}\n`));
      this.#isFailing = false;
    } catch (error) {
      this.#lost += lines.length;
      this.#close();
      if (!this.#isFailing) this.#options.onFailure?.(error);
      this.#isFailing = true;
    }
  }

  /** Writes the queued lines and closes the file. The next flush opens the path again. */
  close(): void {
    this.flush();
    this.#close();
  }

  #close(): void {
    if (this.#file !== undefined) closeSync(this.#file);
    this.#file = undefined;
  }
}

/** A disk that is nearly full may accept only some of the bytes. */
function writeAll(file: number, bytes: Uint8Array): void {
  for (let at = 0; at < bytes.length;) at += writeSync(file, bytes, at);
}
