/** An error as one line: its message, and those of its causes where they say more. */
export function errorLine(error: unknown): string {
  if (!(error instanceof Error)) return oneLine(String(error));
  const message = oneLine(error.message) || error.name;
  if (error.cause === undefined) return message;
  const cause = errorLine(error.cause);
  return message.includes(cause) ? message : `${message}: ${cause}`;
}

function oneLine(text: string): string {
  return text.replaceAll(/\s*\n\s*/g, " ").trim();
}
