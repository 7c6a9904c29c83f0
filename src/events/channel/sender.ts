import { BatchEncoder } from "../codec/encode.ts";
import type { Batch } from "../transport.ts";
import type { ChannelSettings } from "./settings.ts";
import type { CounterRow } from "../ledger/counter_row.ts";

/** Settings of a sender. */
export interface SenderOptions extends Pick<ChannelSettings, "clock" | "schedule"> {
  /** Where it counts. */
  readonly row: CounterRow;
  readonly post: (buffer: ArrayBuffer) => void;
  /** Most batches that are sent and not acknowledged. */
  readonly window: number;
  /**
   * How long an acknowledgement may take before everything unacknowledged is sent again; doubles each time in vain, up
   * to 16 times.
   */
  readonly resendMs: number;
}

interface Sent {
  readonly sequence: number;
  readonly buffer: ArrayBuffer;
  readonly sinceMs: number;
}

const MAX_BACKOFF = 16;

/**
 * Gets batches to the collector, each once and in order, over a channel that loses messages: go-back-N with a bounded
 * window.
 */
export class BatchSender {
  readonly #options: SenderOptions;
  readonly #encoder = new BatchEncoder();
  #unacked: readonly Sent[] = [];
  #sequence = 0;
  #backoff = 1;
  #fullSinceMs: number | undefined;
  #fullMs = 0;
  #cancelResend: (() => void) | undefined;
  #waiting: readonly { readonly sequence: number; readonly reached: () => void }[] = [];

  constructor(options: SenderOptions) {
    this.#options = options;
  }

  /** Place in the sequence of the batch that was sent last; 0 before the first. */
  get sequence(): number {
    return this.#sequence;
  }

  /** How many more batches may be sent now. */
  room(): number {
    return this.#options.window - this.#unacked.length;
  }

  oldestMs(): number | undefined {
    return this.#unacked[0]?.sinceMs;
  }

  send(batch: Batch): void {
    const sequence = ++this.#sequence;
    const buffer = this.#encoder.encode(batch, sequence);
    this.#unacked = [...this.#unacked, { sequence, buffer, sinceMs: batch.sinceMs }];
    if (this.room() === 0) this.#fullSinceMs = this.#options.clock.monotonicMs();
    this.#options.post(buffer);
    this.#cancelResend ??= this.#scheduleResend();
  }

  /** Notes that every batch up to `sequence` has been dispatched. Answers whether that is news. */
  acknowledge(sequence: number): boolean {
    const unacked = this.#unacked.filter((sent) => sent.sequence > sequence);
    if (unacked.length === this.#unacked.length) return false;
    this.#countFull();
    this.#unacked = unacked;
    this.#fullSinceMs = undefined;
    this.#backoff = 1;
    this.#cancelResend?.();
    this.#cancelResend = unacked.length === 0 ? undefined : this.#scheduleResend();
    const reached = this.#waiting.filter((waiting) => waiting.sequence <= sequence);
    this.#waiting = this.#waiting.filter((waiting) => waiting.sequence > sequence);
    for (const waiting of reached) waiting.reached();
    return true;
  }

  /** Resolves when everything sent so far has been acknowledged. */
  flush(): Promise<void> {
    if (this.#unacked.length === 0) return Promise.resolve();
    const sequence = this.#sequence;
    return new Promise((reached) => {
      this.#waiting = [...this.#waiting, { sequence, reached }];
    });
  }

  /** Sends nothing again from now on. */
  close(): void {
    this.#cancelResend?.();
  }

  #scheduleResend(): () => void {
    const { schedule, resendMs } = this.#options;
    return schedule(() => this.#resend(), resendMs * this.#backoff);
  }

  #resend(): void {
    this.#countFull();
    this.#options.row.resent += this.#unacked.length;
    for (const { buffer } of this.#unacked) this.#options.post(buffer);
    this.#backoff = Math.min(MAX_BACKOFF, this.#backoff * 2);
    this.#cancelResend = this.#scheduleResend();
  }

  #countFull(): void {
    if (this.#fullSinceMs === undefined) return;
    const monotonicMs = this.#options.clock.monotonicMs();
    this.#fullMs += monotonicMs - this.#fullSinceMs;
    this.#fullSinceMs = monotonicMs;
    this.#options.row.windowFullMs = this.#fullMs;
  }
}
