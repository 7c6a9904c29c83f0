import { VitrineError } from "../core/errors.ts";
import type { Env } from "./env.ts";

/** What OTLP carries. */
export type Signal = "metrics" | "logs" | "traces";

/** Where a signal is pushed to, and in which form. */
export interface OtlpTarget {
  readonly url: string;
  readonly protocol: "http/json" | "http/protobuf";
}

/**
 * Where the environment wants a signal pushed to: OTEL_EXPORTER_OTLP_<SIGNAL>_ENDPOINT as it is, or OTEL_EXPORTER_OTLP_ENDPOINT with
 * the signal's path. Undefined if neither is set, if OTEL_<SIGNAL>_EXPORTER is set and has no `otlp` in it, or if OTEL_SDK_DISABLED is
 * `true`. With `otlp` and no endpoint it is http://localhost:4318. Throws VitrineError for what is no URL and no protocol of ours.
 */
export function otlpTarget(env: Env, signal: Signal): OtlpTarget | undefined {
  const name = signal.toUpperCase();
  if (env["OTEL_SDK_DISABLED"]?.trim().toLowerCase() === "true") return undefined;
  const exporters = env[`OTEL_${name}_EXPORTER`]?.split(",").map((each) => each.trim()).filter((each) => each !== "");
  const asked = exporters?.includes("otlp") ?? false;
  if (exporters !== undefined && exporters.length > 0 && !asked) return undefined;
  const own = env[`OTEL_EXPORTER_OTLP_${name}_ENDPOINT`];
  const base = env["OTEL_EXPORTER_OTLP_ENDPOINT"] || (asked ? "http://localhost:4318" : undefined);
  const url = own || (base && `${base.replace(/\/$/, "")}/v1/${signal}`);
  if (!url) return undefined;
  if (!URL.canParse(url)) throw new VitrineError("bad_request", `OTLP endpoint is not a URL: ${url}`);
  return { url, protocol: protocolOf(env, name) };
}

function protocolOf(env: Env, name: string): OtlpTarget["protocol"] {
  const protocol = env[`OTEL_EXPORTER_OTLP_${name}_PROTOCOL`] || env["OTEL_EXPORTER_OTLP_PROTOCOL"] || "http/protobuf";
  if (protocol === "http/json" || protocol === "http/protobuf") return protocol;
  throw new VitrineError("bad_request", `OTLP protocol is neither http/protobuf nor http/json: ${protocol}`);
}
