import { randomBytes } from "node:crypto";
import type { Follow } from "../core/followed_request.ts";
import { formatTraceParent, parseTraceParent, type TraceContext } from "../core/trace_context.ts";
import { type Env, OtelEnv } from "./env.ts";
import { otlpTarget } from "./otlp_settings.ts";

/** Settings of the follower. */
export interface RequestTracerOptions {
  readonly env: Env;
  /** Whether every request is followed, sampled or not: someone writes all of them down. */
  readonly everyRequest: boolean;
  /** So many random bytes in hexadecimal digits. Default: the system's. */
  readonly randomHex?: (bytes: number) => string;
  /** A random number from 0 to 1. Default: Math.random. */
  readonly random?: () => number;
}

/** Whether a request without a parent is sampled, and one with a parent. */
interface Sampler {
  readonly root: (random: () => number) => boolean;
  readonly child: (parent: TraceContext) => boolean;
}

/**
 * Decides when a request begins whether it is followed, by OTEL_TRACES_SAMPLER and OTEL_TRACES_SAMPLER_ARG: one that is
 * not followed costs nothing more than this. Undefined where no request ever is, because no traces are pushed. Loads
 * nothing of the SDK, so that it can work in every thread that serves.
 */
export function requestTracer(options: RequestTracerOptions): Follow | undefined {
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

/** The sampler of the environment; an unknown one, or a ratio that is none, counts as not set and is noted. */
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
 * Whether a trace belongs to the sampled part, the same way as OpenTelemetry's TraceIdRatioBased sampler for
 * JavaScript: every service of it decides alike.
 */
function isBelow(traceId: string, ratio: number): boolean {
  let mixed = 0;
  for (let at = 0; at < 32; at += 8) mixed = (mixed ^ Number.parseInt(traceId.slice(at, at + 8), 16)) >>> 0;
  return mixed < (ratio === 1 ? 2 ** 32 : Math.floor(ratio * 0xffffffff));
}

function systemRandomHex(bytes: number): string {
  return randomBytes(bytes).toString("hex");
}
