import { Buffer } from "node:buffer";
import { closeSync, existsSync, fstatSync, openSync, renameSync, rmSync, writeSync } from "node:fs";
import type { WriteLine } from "./line_output.ts";

/** Settings of a file. */
export interface RotatingFileOptions {
  readonly path: string;
  /** A file is put aside before it would become larger. */
  readonly maxBytes: number;
  /** Files put aside that are kept, as path.1 (the newest), path.2 … */
  readonly keep: number;
  /** Told the first failure since lines were written last. Default: nobody is told. */
  readonly onFailure?: (error: unknown) => void;
}

/** Most bytes that wait to be written. */
const MAX_WAITING_BYTES = 1024 * 1024;

/**
 * A file of lines that never grows beyond its size: full ones are put aside, the oldest are deleted. Lines are written
 * together; after a failure they are lost until one succeeds.
 */
export class RotatingFile {
  readonly #options: RotatingFileOptions;
  #file: number | undefined;
  #sizeBytes = 0;
  #waiting: string[] = [];
  #waitingBytes = 0;
  #lost = 0;
  #isFailing = false;

  constructor(options: RotatingFileOptions) {
    this.#options = options;
  }

  /** Lines that could not be written. */
  get lost(): number {
    return this.#lost;
  }

  /** Takes a line along until the next flush. */
  readonly write: WriteLine = (line) => {
    const bytes = Buffer.byteLength(line) + 1;
    if (this.#waitingBytes + bytes > MAX_WAITING_BYTES) this.flush();
    this.#waiting.push(line);
    this.#waitingBytes += bytes;
    return true;
  };

  /** Writes what waits. Never throws. */
  flush(): void {
    if (this.#waiting.length === 0) return;
    const lines = this.#waiting;
    this.#waiting = [];
    this.#waitingBytes = 0;
    let from = 0;
    try {
      while (from < lines.length) from = this.#writeSome(lines, from);
      this.#isFailing = false;
    } catch (error) {
      this.#lost += lines.length - from;
      this.#close();
      if (!this.#isFailing) this.#options.onFailure?.(error);
      this.#isFailing = true;
    }
  }

  /** Writes what waits and closes the file. */
  close(): void {
    this.flush();
    this.#close();
  }

  /** Writes as many lines as fit into the file, one at least; returns the index of the first that did not. */
  #writeSome(lines: readonly string[], from: number): number {
    const { maxBytes } = this.#options;
    let file = this.#open();
    if (this.#sizeBytes > 0 && this.#sizeBytes + lengthOf(lines[from]) > maxBytes) {
      this.#rotate();
      file = this.#open();
    }
    let until = from;
    let bytes = 0;
    do {
      bytes += lengthOf(lines[until]);
      until++;
    } while (until < lines.length && this.#sizeBytes + bytes + lengthOf(lines[until]) <= maxBytes);
    writeSync(file, `${lines.slice(from, until).join("\n")}\n`);
    this.#sizeBytes += bytes;
    return until;
  }

  #open(): number {
    if (this.#file === undefined) {
      this.#file = openSync(this.#options.path, "a", 0o600);
      this.#sizeBytes = fstatSync(this.#file).size;
    }
    return this.#file;
  }

  #rotate(): void {
    const { path, keep } = this.#options;
    this.#close();
    const names = [path, ...Array.from({ length: keep }, (_, index) => `${path}.${index + 1}`)];
    rmSync(names.at(-1) ?? path, { force: true });
    for (const [index, name] of [...names.slice(0, -1).entries()].toReversed()) {
      const aside = names[index + 1];
      if (aside !== undefined && existsSync(name)) renameSync(name, aside);
    }
  }

  #close(): void {
    if (this.#file !== undefined) closeSync(this.#file);
    this.#file = undefined;
  }
}

function lengthOf(line: string | undefined): number {
  return line === undefined ? 0 : Buffer.byteLength(line) + 1;
}
