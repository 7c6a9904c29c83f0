import { accessSync, constants } from "node:fs";
import type { OtelEnv } from "./env.ts";
import type { Signal } from "./otlp_target.ts";

/** Variables of the families below that somebody reads: this folder, or the SDK's exporters. */
const READ: ReadonlySet<string> = new Set([
  ...["", "METRICS_", "LOGS_", "TRACES_"].flatMap((signal) =>
    ["ENDPOINT", "PROTOCOL", "HEADERS", "TIMEOUT", "COMPRESSION", "CERTIFICATE", "CLIENT_KEY", "CLIENT_CERTIFICATE"]
      .map(
        (name) => `OTEL_EXPORTER_OTLP_${signal}${name}`,
      )
  ),
  ...["BSP", "BLRP"].flatMap((kind) =>
    ["MAX_QUEUE_SIZE", "MAX_EXPORT_BATCH_SIZE", "SCHEDULE_DELAY", "EXPORT_TIMEOUT"].map((name) =>
      `OTEL_${kind}_${name}`
    )
  ),
  ...["METRICS", "LOGS", "TRACES"].map((signal) => `OTEL_${signal}_EXPORTER`),
  "OTEL_METRIC_EXPORT_INTERVAL",
  "OTEL_METRIC_EXPORT_TIMEOUT",
  "OTEL_TRACES_SAMPLER",
  "OTEL_TRACES_SAMPLER_ARG",
  "OTEL_RESOURCE_ATTRIBUTES",
  "OTEL_SERVICE_NAME",
]);
const FAMILIES = /^OTEL_(?:EXPORTER_|BSP_|BLRP_|METRICS?_|LOGS_|TRACES_|RESOURCE|SERVICE)/;
/** A name of a header (RFC 9110 5.6.2). */
const TOKEN = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;

/**
 * Notes what the SDK's exporters would pass over in silence: they read these variables from the process's environment
 * by themselves.
 */
export function checkExporterEnv(env: OtelEnv, signal: Signal): void {
  for (const prefix of ["OTEL_EXPORTER_OTLP_", `OTEL_EXPORTER_OTLP_${signal.toUpperCase()}_`]) {
    env.number(`${prefix}TIMEOUT`, 10_000);
    env.oneOf(`${prefix}COMPRESSION`, ["none", "gzip"], "none");
    checkHeaders(env, `${prefix}HEADERS`);
    for (const name of ["CERTIFICATE", "CLIENT_KEY", "CLIENT_CERTIFICATE"]) checkFile(env, `${prefix}${name}`);
  }
}

/** Notes names that look like a setting of telemetry and are none that is read: misspelt, or not supported. */
export function checkNames(env: OtelEnv): void {
  for (const name of env.names()) {
    if (FAMILIES.test(name) && !READ.has(name)) env.cannotUse(name, "nothing: it is not read", "");
  }
}

/** Headers hold secrets: what is told is which of them it is. */
function checkHeaders(env: OtelEnv, variable: string): void {
  const pairs = (env.text(variable) ?? "").split(",").filter((pair) => pair.trim() !== "");
  const bad = [...pairs.entries()].filter(([, pair]) => !isHeader(pair)).map(([index]) => index + 1);
  if (bad.length === 0) return;
  env.cannotUse(
    variable,
    `the ${pairs.length - bad.length} of ${pairs.length} pairs that are name=value`,
    `*** (pair ${bad.join(", ")})`,
  );
}

function isHeader(pair: string): boolean {
  const at = pair.indexOf("=");
  if (at < 1 || !TOKEN.test(pair.slice(0, at).trim())) return false;
  try {
    return decodeURIComponent(pair.slice(at + 1).trim()) !== "";
  } catch {
    return false;
  }
}

function checkFile(env: OtelEnv, variable: string): void {
  const path = env.text(variable);
  if (path === undefined) return;
  try {
    accessSync(path, constants.R_OK);
  } catch {
    env.cannotUse(variable, "nothing: the file cannot be read");
  }
}
