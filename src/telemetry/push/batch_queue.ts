import { type Schedule, unrefTimer } from "../../core/clock.ts";
import type { OtelEnv } from "../otel_env.ts";
import { ExportCounts, type PushEnd, pushEnd } from "./push_end.ts";

/** Settings of a queue. */
export interface BatchOptions<Item> {
  /** Sends a batch; calls back once with the result. */
  readonly send: (items: Item[], done: (end: PushEnd) => void) => void;
  readonly counts: ExportCounts;
  /** Maximum number of waiting items; further ones are dropped and counted. */
  readonly maxQueue: number;
  /** Maximum size of a batch. */
  readonly maxBatch: number;
  /** Maximum time that an item waits for its batch to fill. */
  readonly delayMs: number;
  /** Time after which a batch counts as failed. */
  readonly timeoutMs: number;
  readonly schedule: Schedule;
}

/** The items by outcome. */
export interface ItemNumbers {
  readonly exported: number;
  readonly failed: number;
  readonly dropped: number;
  readonly queued: number;
}

/**
 * Sends items to a collector in batches, one batch at a time. It does not retry: the exporter does, within its timeout.
 * docs/decisions/005-otlp-batch-queue.md says why it is used instead of the SDK's batch processors.
 */
export class BatchQueue<Item> {
  readonly #options: BatchOptions<Item>;
  readonly #waiting: Item[] = [];
  #sending: Promise<void> | undefined;
  #cancelTimer: (() => void) | undefined;
  readonly #totals = { exported: 0, failed: 0, dropped: 0 };

  constructor(options: BatchOptions<Item>) {
    this.#options = options;
  }

  numbers(): ItemNumbers {
    return { ...this.#totals, queued: this.#waiting.length };
  }

  /** Queues an item, or drops it if the queue is full. Never throws. */
  add(item: Item): void {
    const { maxQueue, maxBatch, delayMs, schedule } = this.#options;
    if (this.#waiting.length >= maxQueue) {
      this.#totals.dropped++;
      return;
    }
    this.#waiting.push(item);
    if (this.#sending !== undefined) return;
    if (this.#waiting.length >= maxBatch) this.#send();
    else this.#cancelTimer ??= schedule(() => this.#send(), delayMs);
  }

  /** Resolves when all items added so far have arrived or failed. */
  async flush(): Promise<void> {
    while (this.#sending !== undefined || this.#waiting.length > 0) {
      if (this.#sending === undefined) this.#send();
      await this.#sending;
    }
  }

  #send(): void {
    const { maxBatch, maxQueue } = this.#options;
    this.#cancelTimer?.();
    this.#cancelTimer = undefined;
    const batch = this.#waiting.splice(0, Math.min(maxBatch, maxQueue));
    if (batch.length === 0) return;
    this.#sending = this.#finish(batch);
  }

  async #finish(batch: Item[]): Promise<void> {
    const end = await this.#sendBatch(batch);
    this.#options.counts.count(end);
    if (end.error === undefined) {
      const rejected = Math.min(batch.length, end.rejected?.items ?? 0);
      this.#totals.exported += batch.length - rejected;
      this.#totals.dropped += rejected;
    } else this.#totals.failed += batch.length;
    this.#sending = undefined;
    this.#goOn();
  }

  #goOn(): void {
    const { maxBatch, delayMs, schedule } = this.#options;
    if (this.#waiting.length >= maxBatch) this.#send();
    else if (this.#waiting.length > 0) this.#cancelTimer ??= schedule(() => this.#send(), delayMs);
  }

  #sendBatch(batch: Item[]): Promise<PushEnd> {
    return new Promise((resolve) => {
      const { schedule, timeoutMs } = this.#options;
      const late = () => resolve({ error: new Error(`no answer within ${timeoutMs} ms`) });
      const cancel = schedule(late, timeoutMs);
      const done = (end: PushEnd) => {
        cancel();
        resolve(end);
      };
      try {
        this.#options.send(batch, done);
      } catch (cause) {
        done({ error: new Error("send batch: the exporter threw", { cause }) });
      }
    });
  }
}

/** The used part of the SDK's exporters. */
interface Exporter<Item> {
  export(items: Item[], done: (result: { readonly code: number; readonly error?: Error }) => void): void;
  shutdown(): Promise<void>;
}

/** The push of a queued signal. */
export interface BatchedPush<Item> {
  readonly queue: BatchQueue<Item>;
  readonly counts: ExportCounts;
  /** The methods that the SDK's processors of log records and of spans have in common. */
  readonly processor: { forceFlush(): Promise<void>; shutdown(): Promise<void> };
}

/**
 * Pushes items in batches, configured by the standard variables: BSP for spans, BLRP for log records.
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
