import { causeText, VitrineError } from "../core/errors.ts";
import { print, type PrintLine } from "../runtime/terminal.ts";

/**
 * Prints an error that no response can report: a VitrineError as one line with its causes, any other with its stack.
 */
export function reportError(error: unknown, line: PrintLine = console.error): void {
  print(line, error instanceof VitrineError ? `vitrine: ${causeText(error)}` : error);
}
