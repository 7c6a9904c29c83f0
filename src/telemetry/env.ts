/** The environment, as a record. */
export type Env = Readonly<Record<string, string | undefined>>;

/** A positive number of an OTEL_* variable; anything else counts as not set, as the OpenTelemetry specification asks. */
export function positiveNumber(text: string | undefined): number | undefined {
  const value = Number(text);
  return text !== undefined && text.trim() !== "" && Number.isFinite(value) && value > 0 ? value : undefined;
}
