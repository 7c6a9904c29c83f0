/** Maximum length of a message, in characters. */
const MAX_LENGTH = 1000;
/** Maximum length of a name or value in a message, in characters. */
const MAX_SHOWN = 200;

/** A bad setting, which prevents the start. The message is always a single line, fit to be shown. */
export class ConfigError extends Error {
  override readonly name = "ConfigError";

  constructor(message: string, options?: ErrorOptions) {
    super(oneLine(message, MAX_LENGTH), options);
  }
}

/** Makes a text from outside fit to be part of a message. */
export function shown(text: string): string {
  return oneLine(text, MAX_SHOWN);
}

/** Replaces control characters, which would break the line or control the terminal. */
function oneLine(text: string, maxLength: number): string {
  const cut = text.length > maxLength ? `${text.slice(0, maxLength)}…` : text;
  return cut.replaceAll(/\p{Cc}/gu, "\u{FFFD}");
}
