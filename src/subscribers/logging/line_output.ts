import { Buffer } from "node:buffer";
import { closeSync, openSync, writeSync } from "node:fs";

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
