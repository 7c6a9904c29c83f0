/** Most characters of a message. */
const MAX_LENGTH = 1000;
/** Most characters of a name or value that a message shows. */
const MAX_SHOWN = 200;

/** A setting that stops the start; the message is the one line to show, whatever was written. */
export class ConfigError extends Error {
  override readonly name = "ConfigError";

  constructor(message: string, options?: ErrorOptions) {
    super(oneLine(message, MAX_LENGTH), options);
  }
}

/** A text that somebody wrote, as a part of a message. */
export function shown(text: string): string {
  return oneLine(text, MAX_SHOWN);
}

/** Control characters would break the line, or tell a terminal what to do. */
function oneLine(text: string, maxLength: number): string {
  const cut = text.length > maxLength ? `${text.slice(0, maxLength)}…` : text;
  return cut.replaceAll(/\p{Cc}/gu, "\u{FFFD}");
}
