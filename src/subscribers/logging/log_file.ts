import { Buffer } from "node:buffer";
import { closeSync, openSync, writeSync } from "node:fs";
import type { WriteLine } from "./line_output.ts";

/** Settings of a log file. */
export interface LogFileOptions {
  readonly path: string;
  /** Called with the first failure since lines were last written. */
  readonly onFailure?: (error: unknown) => void;
}

/** Most bytes that wait to be written. */
const MAX_WAITING_BYTES = 1024 * 1024;

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

  /** Lines that could not be written. */
  get lost(): number {
    return this.#lost;
  }

  /** Keeps a line for the next flush. */
  readonly write: WriteLine = (line) => {
    const bytes = Buffer.byteLength(line) + 1;
    if (this.#waitingBytes + bytes > MAX_WAITING_BYTES) this.flush();
    this.#waiting.push(line);
    this.#waitingBytes += bytes;
    return true;
  };

  /** Writes the lines that wait. Never throws. */
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

  /** Writes the lines that wait and closes the file. The next flush opens whatever the path names then. */
  close(): void {
    this.flush();
    this.#close();
  }

  #close(): void {
    if (this.#file !== undefined) closeSync(this.#file);
    this.#file = undefined;
  }
}

/** A disk that is nearly full may take only a part of the bytes. */
function writeAll(file: number, bytes: Uint8Array): void {
  for (let at = 0; at < bytes.length;) at += writeSync(file, bytes, at);
}
