import type { Config } from "../config.ts";
import type { TraceRequest } from "../core/trace_context.ts";
import { requestFollower } from "../telemetry/request_follower.ts";

/** Decides in a thread that serves which requests' events carry details; undefined where nobody wants any. */
export function followerOf(
  config: Config,
  env: Readonly<Record<string, string | undefined>>,
): TraceRequest | undefined {
  if (!config.observability) return undefined;
  return requestFollower({
    env,
    everyRequest: config.requestLogPath !== undefined || config.logLevel === "debug",
  });
}
