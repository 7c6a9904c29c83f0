import { clearTimeout, setTimeout } from "node:timers";
import type { BatchOptions, Schedule } from "./batch_queue.ts";
import type { OtelEnv } from "../env.ts";

/** The settings of a queue from the standard variables of its kind: BSP for spans, BLRP for log records. */
export function batchSettings(
  env: OtelEnv,
  kind: "BSP" | "BLRP",
): Omit<BatchOptions<never>, "send" | "counts"> {
  const maxQueue = env.number(`OTEL_${kind}_MAX_QUEUE_SIZE`, 2048);
  const batchVariable = `OTEL_${kind}_MAX_EXPORT_BATCH_SIZE`;
  const maxBatch = env.number(batchVariable, Math.min(maxQueue, 512));
  if (maxBatch > maxQueue) env.cannotUse(batchVariable, `${maxQueue}, as many as the queue holds`);
  return {
    maxQueue,
    maxBatch: Math.min(maxQueue, maxBatch),
    delayMs: env.number(`OTEL_${kind}_SCHEDULE_DELAY`, kind === "BSP" ? 5000 : 1000),
    timeoutMs: env.number(`OTEL_${kind}_EXPORT_TIMEOUT`, 30_000),
    schedule: unrefTimer,
  };
}

/** A timer that does not keep the process alive. */
const unrefTimer: Schedule = (run, delayMs) => {
  const timer = setTimeout(run, delayMs);
  timer.unref();
  return () => clearTimeout(timer);
};
