import type { OtelEnv } from "./env.ts";

/** What OTLP carries. */
export type Signal = "metrics" | "logs" | "traces";

/** Where a signal is pushed to, and in which form. */
export interface OtlpTarget {
  readonly url: string;
  readonly protocol: "http/json" | "http/protobuf";
}

const DEFAULT_PROTOCOL = "http/protobuf";
/** Exporters of the specification; only `otlp` pushes, and metrics can be pulled whatever is set. */
const EXPORTERS = ["otlp", "none", "console", "prometheus", "zipkin", "jaeger"];

/**
 * Where the environment wants a signal pushed to: OTEL_EXPORTER_OTLP_<SIGNAL>_ENDPOINT as it is, or
 * OTEL_EXPORTER_OTLP_ENDPOINT with the signal's path. Undefined if neither is set, if OTEL_<SIGNAL>_EXPORTER is set and
 * has no `otlp` in it, or if OTEL_SDK_DISABLED is `true`. With `otlp` and no endpoint it is http://localhost:4318. An
 * endpoint that is no http URL is pushed nothing, and noted.
 */
export function otlpTarget(env: OtelEnv, signal: Signal): OtlpTarget | undefined {
  const name = signal.toUpperCase();
  if (isDisabled(env)) return undefined;
  const exporters = exportersOf(env, name);
  const asked = exporters.includes("otlp");
  if (exporters.length > 0 && !asked) return undefined;
  const own = `OTEL_EXPORTER_OTLP_${name}_ENDPOINT`;
  const shared = "OTEL_EXPORTER_OTLP_ENDPOINT";
  const ownUrl = env.text(own);
  const base = env.text(shared) ?? (asked ? "http://localhost:4318" : undefined);
  const url = ownUrl ?? (base === undefined ? undefined : `${base.replace(/\/$/, "")}/v1/${signal}`);
  if (url === undefined) return undefined;
  if (!isHttpUrl(ownUrl ?? base ?? "")) {
    env.cannotUse(ownUrl === undefined ? shared : own, "nothing is pushed: it must begin with http:// or https://");
    return undefined;
  }
  return { url, protocol: protocolOf(env, name) };
}

function isDisabled(env: OtelEnv): boolean {
  const text = env.text("OTEL_SDK_DISABLED")?.toLowerCase();
  if (text !== undefined && text !== "true" && text !== "false") env.cannotUse("OTEL_SDK_DISABLED", "false");
  return text === "true";
}

/** Those that the specification knows; of others it is as if they were not there. */
function exportersOf(env: OtelEnv, name: string): readonly string[] {
  const variable = `OTEL_${name}_EXPORTER`;
  const asked = env.text(variable)?.split(",").map((each) => each.trim()).filter((each) => each !== "") ?? [];
  const known = asked.filter((each) => EXPORTERS.includes(each));
  const pushed = asked.filter((each) => ["otlp", "none", "prometheus"].includes(each));
  if (known.length < asked.length) {
    env.cannotUse(variable, known.length === 0 ? "as if it were not set" : known.join(","));
  } else if (pushed.length < asked.length) env.cannotUse(variable, pushed.length === 0 ? "none" : pushed.join(","));
  return known;
}

function isHttpUrl(text: string): boolean {
  return /^https?:\/\//i.test(text) && URL.canParse(text);
}

function protocolOf(env: OtelEnv, name: string): OtlpTarget["protocol"] {
  const choices = ["http/json", "http/protobuf"] as const;
  const shared = env.oneOf("OTEL_EXPORTER_OTLP_PROTOCOL", choices, DEFAULT_PROTOCOL) ?? DEFAULT_PROTOCOL;
  return env.oneOf(`OTEL_EXPORTER_OTLP_${name}_PROTOCOL`, choices, shared) ?? shared;
}
