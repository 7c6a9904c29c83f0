/** Takes lines; false if it has no room for this one, which is lost then. Never throws, never waits. */
export type WriteLine = (line: string) => boolean;

/** A writable stream of Node's kind, such as process.stderr. */
export interface LineStream {
  write(text: string): unknown;
  readonly writableLength?: number;
  readonly destroyed?: boolean;
}

const MAX_WAITING_BYTES = 1024 * 1024;

/** Writes to a stream as long as no more than a mebibyte waits in it: a reader that hangs costs lines, not memory. */
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
