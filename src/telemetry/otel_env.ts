import { accessSync, constants } from "node:fs";

/** The environment, as a record. */
export type Env = Readonly<Record<string, string | undefined>>;

/** A value that cannot be used, and its replacement. */
export interface EnvProblem {
  readonly variable: string;
  /** Without secrets. */
  readonly value: string;
  readonly used: string;
}

/** The maximum of timers in both runtimes. */
const MAX_TIMER_MS = 2 ** 31 - 1;
const MAX_VALUE_CHARS = 200;

/**
 * The standard OTEL_* variables. As the OpenTelemetry specification asks, an invalid value counts as not set; it is
 * recorded once per variable. An empty value also counts as not set.
 */
export class OtelEnv {
  readonly #env: Env;
  readonly #problems = new Map<string, EnvProblem>();

  constructor(env: Env) {
    this.#env = env;
  }

  /** The invalid values among those read so far. */
  get problems(): readonly EnvProblem[] {
    return [...this.#problems.values()];
  }

  /** The names of the variables that are set. */
  names(): readonly string[] {
    return Object.keys(this.#env).filter((name) => this.text(name) !== undefined);
  }

  /** The value without surrounding space. */
  text(variable: string): string | undefined {
    const text = this.#env[variable]?.trim();
    return text === "" ? undefined : text;
  }

  /** A whole number of at least 1. */
  number(variable: string, instead: number): number {
    const text = this.text(variable);
    if (text === undefined) return instead;
    const value = Number(text);
    if (Number.isInteger(value) && value >= 1 && value <= MAX_TIMER_MS) return value;
    this.cannotUse(variable, String(instead));
    return instead;
  }

  oneOf<const Choice extends string>(
    variable: string,
    choices: readonly Choice[],
    instead: string,
  ): Choice | undefined {
    const text = this.text(variable);
    const choice = choices.find((each) => each === text);
    if (text !== undefined && choice === undefined) this.cannotUse(variable, instead);
    return choice;
  }

  /** Records that a value is not used. `shown`: the value to show. Default: the value itself. */
  cannotUse(variable: string, used: string, shown: string = this.text(variable) ?? ""): void {
    if (this.#problems.has(variable)) return;
    const value = shown.replace(/\/\/[^/\s@]*@/g, "//***@").slice(0, MAX_VALUE_CHARS);
    this.#problems.set(variable, { variable, value, used });
  }
}

/** A signal of OTLP. */
export type Signal = "metrics" | "logs" | "traces";

/** The URL that a signal is pushed to, and the protocol. */
export interface OtlpTarget {
  readonly url: string;
  readonly protocol: "http/json" | "http/protobuf";
}

const DEFAULT_PROTOCOL = "http/protobuf";
/** Exporters of the specification; only `otlp` pushes, and metrics can be pulled whatever is set. */
const EXPORTERS = ["otlp", "none", "console", "prometheus", "zipkin", "jaeger"];

/**
 * The configured target of a signal: OTEL_EXPORTER_OTLP_<SIGNAL>_ENDPOINT as it is, or OTEL_EXPORTER_OTLP_ENDPOINT with
 * the signal's path. Undefined if neither is set, if OTEL_<SIGNAL>_EXPORTER is set and does not contain `otlp`, or if
 * OTEL_SDK_DISABLED is `true`. With `otlp` and no endpoint, it is http://localhost:4318. For an endpoint that is not an
 * http URL, nothing is pushed, and the problem is recorded.
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

/** The configured exporters; unknown ones are ignored. */
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

/** The variables of the families below that this folder or the SDK's exporters read. */
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
/** The name of a header (RFC 9110 5.6.2). */
const TOKEN = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;

/**
 * Records invalid values of the variables that the SDK's exporters read from the process's environment: the exporters
 * ignore them silently.
 */
export function checkExporterEnv(env: OtelEnv, signal: Signal): void {
  for (const prefix of ["OTEL_EXPORTER_OTLP_", `OTEL_EXPORTER_OTLP_${signal.toUpperCase()}_`]) {
    env.number(`${prefix}TIMEOUT`, 10_000);
    env.oneOf(`${prefix}COMPRESSION`, ["none", "gzip"], "none");
    checkHeaders(env, `${prefix}HEADERS`);
    for (const name of ["CERTIFICATE", "CLIENT_KEY", "CLIENT_CERTIFICATE"]) checkFile(env, `${prefix}${name}`);
  }
}

/** Records variables that look like telemetry settings but are misspelt or not supported. */
export function checkNames(env: OtelEnv): void {
  for (const name of env.names()) {
    if (FAMILIES.test(name) && !READ.has(name)) env.cannotUse(name, "nothing: it is not read", "");
  }
}

/** Headers contain secrets, so only the positions of invalid ones are shown. */
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
