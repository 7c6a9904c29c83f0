import { clearTimeout, setTimeout } from "node:timers";
import type { BatchOptions, Schedule } from "./batch_queue.ts";
import { type Env, positiveNumber } from "../env.ts";

/** The settings of a queue from the standard variables of its kind: BSP for spans, BLRP for log records. */
export function batchSettings(
  env: Env,
  kind: "BSP" | "BLRP",
): Omit<BatchOptions<never>, "send" | "counts"> {
  const maxQueue = positiveNumber(env[`OTEL_${kind}_MAX_QUEUE_SIZE`]) ?? 2048;
  return {
    maxQueue,
    maxBatch: Math.min(maxQueue, positiveNumber(env[`OTEL_${kind}_MAX_EXPORT_BATCH_SIZE`]) ?? 512),
    delayMs: positiveNumber(env[`OTEL_${kind}_SCHEDULE_DELAY`]) ?? (kind === "BSP" ? 5000 : 1000),
    timeoutMs: positiveNumber(env[`OTEL_${kind}_EXPORT_TIMEOUT`]) ?? 30_000,
    schedule: unrefTimer,
  };
}

/** A timer that does not keep the process alive. */
const unrefTimer: Schedule = (run, delayMs) => {
  const timer = setTimeout(run, delayMs);
  timer.unref();
  return () => clearTimeout(timer);
};
