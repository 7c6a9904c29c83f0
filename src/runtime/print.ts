/** Prints a value on a line of its own: `console.log` or `console.error`. */
export type PrintLine = (value: unknown) => void;

/**
 * Prints by it, and never throws: Deno's console does where a disk is full or a pipe is closed. Such a line is lost,
 * and the server goes on.
 */
export function print(line: PrintLine, value: unknown): void {
  try {
    line(value);
  } catch {
    // There is nowhere left to say so.
  }
}
