import { execFile } from "node:child_process";
import { promisify } from "node:util";
import * as v from "valibot";
import { childSeconds, WITH_TIMES } from "./shell_times.ts";

/** One load on one server. */
export interface Load {
  readonly port: number;
  readonly method: "GET" | "PUT";
  readonly path: string;
  /** Requests go round over this many keys; 0: the path itself. */
  readonly keys: number;
  /** Bytes of each body that is sent. */
  readonly sendBytes: number;
  readonly connections: number;
  readonly seconds: number;
  /** The time that each connection waits before a request (default: none). */
  readonly delayMs?: number;
  /** The field Authorization (default: none). */
  readonly authorization?: string | undefined;
}

/** The measurements of wrk. */
export interface LoadResult {
  readonly seconds: number;
  /** Whole ones: a short load of large objects may have none. */
  readonly requests: number;
  readonly requestsPerSecond: number;
  /** Bytes received. */
  readonly bytesPerSecond: number;
  /** Latencies: the median and the 99th percentile. */
  readonly p50Ms: number;
  readonly p99Ms: number;
  /** Processor time that wrk itself took, in cores. */
  readonly generatorCores: number;
}

const resultSchema = v.object({
  requests: v.number(),
  bytes: v.number(),
  microseconds: v.number(),
  p50: v.number(),
  p99: v.number(),
  errors: v.number(),
});

/** Runs wrk on one core, or on any without `core`. Throws if any request failed, or nothing came. */
export async function runWrk(load: Load, core?: number): Promise<LoadResult> {
  const url = `http://127.0.0.1:${load.port}${load.path}`;
  const script = new URL("wrk.lua", import.meta.url).pathname;
  const options = ["-t1", `-c${load.connections}`, `-d${load.seconds}s`, "--timeout", "10s", "-s", script];
  const scriptArgs = [load.method, load.path, load.keys, load.sendBytes, load.delayMs ?? 0, load.authorization ?? ""]
    .map(String);
  const pin = core === undefined ? [] : ["taskset", "-c", String(core)];
  const command = [...pin, "wrk", ...options, url, "--", ...scriptArgs];
  const { stdout } = await promisify(execFile)("sh", ["-c", WITH_TIMES, "sh", ...command]);
  const line = /^\{.*\}$/m.exec(stdout)?.[0] ?? "";
  const { requests, bytes, microseconds, p50, p99, errors } = v.parse(resultSchema, JSON.parse(line));
  if (errors > 0 || bytes === 0) throw new Error(`wrk ${url}: ${errors} errors, ${requests} requests`);
  const seconds = microseconds / 1e6;
  return {
    seconds,
    requests,
    requestsPerSecond: requests / seconds,
    bytesPerSecond: bytes / seconds,
    p50Ms: p50 / 1e3,
    p99Ms: p99 / 1e3,
    generatorCores: childSeconds(stdout) / seconds,
  };
}
