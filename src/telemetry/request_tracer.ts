import { randomBytes } from "node:crypto";
import { formatTraceParent, parseTraceParent, type TraceContext, type TraceRequest } from "../core/events.ts";
import { type Env, OtelEnv, otlpTarget } from "./otel_env.ts";

/** Settings of a request tracer. */
export interface RequestTracerOptions {
  readonly env: Env;
  /** True if every request is traced, sampled or not, because all of them are logged. */
  readonly everyRequest: boolean;
  /** Returns random bytes as hexadecimal digits. Default: the system's. */
  readonly randomHex?: (bytes: number) => string;
  /** A random number from 0 to 1. Default: Math.random. */
  readonly random?: () => number;
}

/** Decides about requests without a parent and with one. */
interface Sampler {
  readonly root: (random: () => number) => boolean;
  readonly child: (parent: TraceContext) => boolean;
}

/**
 * Decides at the start of a request whether it is traced, by OTEL_TRACES_SAMPLER and OTEL_TRACES_SAMPLER_ARG. A request
 * that is not traced costs nothing else. Undefined if no request is ever traced. Does not load the SDK, so every thread
 * that serves can use it.
 */
export function requestTracer(options: RequestTracerOptions): TraceRequest | undefined {
  const { everyRequest, randomHex = systemRandomHex, random = Math.random } = options;
  const env = new OtelEnv(options.env);
  const sampler = otlpTarget(env, "traces") === undefined ? NEVER : samplerOf(env);
  if (sampler === NEVER && !everyRequest) return undefined;
  return (header) => {
    const parent = header === null ? undefined : parseTraceParent(header);
    const sampled = parent === undefined ? sampler.root(random) : sampler.child(parent);
    if (!sampled && !everyRequest) return undefined;
    const ids = parent === undefined ? randomHex(24) : parent.traceId + randomHex(8);
    const requestId = formatTraceParent({ traceId: ids.slice(0, 32), spanId: ids.slice(32), sampled });
    return parent === undefined || header === null ? { requestId } : { requestId, traceParent: header };
  };
}

const NEVER: Sampler = { root: () => false, child: () => false };
const ALWAYS: Sampler = { root: () => true, child: () => true };

const SAMPLERS = [
  "always_on",
  "always_off",
  "traceidratio",
  "parentbased_always_on",
  "parentbased_always_off",
  "parentbased_traceidratio",
] as const;

/** The configured sampler. An unknown sampler or an invalid ratio counts as not set and is recorded. */
export function samplerOf(env: OtelEnv): Sampler {
  const name = env.oneOf("OTEL_TRACES_SAMPLER", SAMPLERS, "parentbased_always_on") ?? "parentbased_always_on";
  const ratio = name.endsWith("ratio") ? ratioOf(env) : 1;
  const byRatio: Sampler = { root: (random) => random() < ratio, child: ({ traceId }) => isBelow(traceId, ratio) };
  const child = ({ sampled }: TraceContext) => sampled;
  switch (name) {
    case "always_on":
      return ALWAYS;
    case "always_off":
      return NEVER;
    case "traceidratio":
      return byRatio;
    case "parentbased_always_off":
      return { root: () => false, child };
    case "parentbased_traceidratio":
      return { root: byRatio.root, child };
    case "parentbased_always_on":
    default:
      return { root: () => true, child };
  }
}

function ratioOf(env: OtelEnv): number {
  const variable = "OTEL_TRACES_SAMPLER_ARG";
  const ratio = Number(env.text(variable) ?? 1);
  if (ratio >= 0 && ratio <= 1) return ratio;
  env.cannotUse(variable, "1");
  return 1;
}

/**
 * True if a trace is in the sampled part. Decides like OpenTelemetry's TraceIdRatioBased sampler for JavaScript, so
 * that all services of a trace agree.
 */
function isBelow(traceId: string, ratio: number): boolean {
  let mixed = 0;
  for (let at = 0; at < 32; at += 8) mixed = (mixed ^ Number.parseInt(traceId.slice(at, at + 8), 16)) >>> 0;
  return mixed < (ratio === 1 ? 2 ** 32 : Math.floor(ratio * 0xffffffff));
}

function systemRandomHex(bytes: number): string {
  return randomBytes(bytes).toString("hex");
}
