import type { ExportCounts } from "./export_counts.ts";

/** Runs a function once, later; returns what calls it off. */
export type Schedule = (run: () => void, delayMs: number) => () => void;

/** Settings of a queue. */
export interface BatchOptions<Item> {
  /** Sends a batch; calls back once, with an error if it did not arrive. */
  readonly send: (items: Item[], done: (error: Error | undefined) => void) => void;
  readonly counts: ExportCounts;
  /** Most items that wait; more are dropped and counted. */
  readonly maxQueue: number;
  /** Most items of a batch. */
  readonly maxBatch: number;
  /** How long an item may wait for its batch to fill. */
  readonly delayMs: number;
  /** How long a batch may take before it is given up. */
  readonly timeoutMs: number;
  readonly schedule: Schedule;
}

/** What became of the items. */
export interface ItemNumbers {
  readonly exported: number;
  readonly failed: number;
  readonly dropped: number;
  readonly queued: number;
}

/**
 * Items on their way to a collector, in batches, one batch at a time. The SDK's own batch processors do the same and do not tell how
 * much they dropped. What fails is not tried again here: the exporter has done so within its timeout.
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

  /** Takes an item along, or drops it. Never throws. */
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

  /** Resolves when everything added so far has arrived or failed. */
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
    const arrived = await this.#sendBatch(batch);
    this.#options.counts.count(arrived);
    this.#totals[arrived ? "exported" : "failed"] += batch.length;
    this.#sending = undefined;
    this.#goOn();
  }

  #goOn(): void {
    const { maxBatch, delayMs, schedule } = this.#options;
    if (this.#waiting.length >= maxBatch) this.#send();
    else if (this.#waiting.length > 0) this.#cancelTimer ??= schedule(() => this.#send(), delayMs);
  }

  #sendBatch(batch: Item[]): Promise<boolean> {
    return new Promise((resolve) => {
      const cancel = this.#options.schedule(() => resolve(false), this.#options.timeoutMs);
      const done = (error: Error | undefined) => {
        cancel();
        resolve(error === undefined);
      };
      try {
        this.#options.send(batch, done);
      } catch {
        done(new Error("send batch: the exporter threw"));
      }
    });
  }
}
