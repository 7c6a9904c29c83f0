import { clearTimeout, setTimeout } from "node:timers";
import type { OtelEnv } from "../env.ts";
import { BatchQueue, type Schedule } from "./batch_queue.ts";
import { ExportCounts, type PushEnd, pushEnd } from "./push_end.ts";

/** The part of the SDK's exporters that is used. */
interface Exporter<Item> {
  export(items: Item[], done: (result: { readonly code: number; readonly error?: Error }) => void): void;
  shutdown(): Promise<void>;
}

/** The push of a signal whose items wait in a queue. */
export interface BatchedPush<Item> {
  readonly queue: BatchQueue<Item>;
  readonly counts: ExportCounts;
  /** The methods that the SDK's processors of log records and of spans have in common. */
  readonly processor: { forceFlush(): Promise<void>; shutdown(): Promise<void> };
}

/**
 * Pushes items in batches, with the settings of the standard variables of their kind: BSP for spans, BLRP for log
 * records.
 */
export function batchedPush<Item>(
  env: OtelEnv,
  exporter: Exporter<Item>,
  { kind, onEnd }: { readonly kind: "BSP" | "BLRP"; readonly onEnd: (end: PushEnd) => void },
): BatchedPush<Item> {
  const counts = new ExportCounts(onEnd);
  const maxQueue = env.number(`OTEL_${kind}_MAX_QUEUE_SIZE`, 2048);
  const batchVariable = `OTEL_${kind}_MAX_EXPORT_BATCH_SIZE`;
  const maxBatch = env.number(batchVariable, Math.min(maxQueue, 512));
  if (maxBatch > maxQueue) env.cannotUse(batchVariable, `${maxQueue}, as many as the queue holds`);
  const queue = new BatchQueue<Item>({
    maxQueue,
    maxBatch: Math.min(maxQueue, maxBatch),
    delayMs: env.number(`OTEL_${kind}_SCHEDULE_DELAY`, kind === "BSP" ? 5000 : 1000),
    timeoutMs: env.number(`OTEL_${kind}_EXPORT_TIMEOUT`, 30_000),
    schedule: unrefTimer,
    counts,
    send: (items, done) => exporter.export(items, (result) => done(pushEnd(result))),
  });
  const forceFlush = () => queue.flush();
  const shutdown = async () => {
    await queue.flush();
    await exporter.shutdown();
  };
  return { queue, counts, processor: { forceFlush, shutdown } };
}

/** A timer that does not keep the process alive. */
const unrefTimer: Schedule = (run, delayMs) => {
  const timer = setTimeout(run, delayMs);
  timer.unref();
  return () => clearTimeout(timer);
};
