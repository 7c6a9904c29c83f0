import type { HrTime } from "@opentelemetry/api";

/** OpenTelemetry's time: whole seconds and nanoseconds. */
export function hrTime(timeMs: number): HrTime {
  const seconds = Math.floor(timeMs / 1000);
  return [seconds, Math.round((timeMs - seconds * 1000) * 1e6)];
}
