import type { EventName } from "./catalogue.ts";
import type { Delivered } from "./delivered.ts";
import type { FieldValues } from "./schema.ts";
import type { Interest } from "./subscriber.ts";

/** An event as it was published. */
export interface Single {
  readonly name: EventName;
  /** Milliseconds since the epoch, of publish. */
  readonly timeMs: number;
  readonly fields: FieldValues;
}

/** Of one event type, since the producer began. */
export interface HandedOver {
  /** Events in this batch and all batches before it. */
  readonly published: number;
  /** Those of them that were folded although someone wanted details. */
  readonly shed: number;
}

/** What a producer hands over at a time. */
export interface Batch {
  /** In the order in which they were published. */
  readonly singles: readonly Single[];
  /** Folded events, in no order. */
  readonly groups: readonly Delivered<EventName>[];
  /**
   * Counted at publish, so that the collector can tell when events went missing on the way; types that never occurred
   * are absent.
   */
  readonly counts: ReadonlyMap<EventName, HandedOver>;
  /** When the oldest event in it was published, in monotonic milliseconds. */
  readonly sinceMs: number;
}

/** A batch at its destination. */
export interface Arrival {
  readonly singles: readonly Delivered<EventName>[];
  readonly groups: readonly Delivered<EventName>[];
  readonly counts: Batch["counts"];
}

/** What lies between one producer and the collector. */
export interface Transport {
  /** How many batches `send` takes now; when it is 0 the producer keeps what it has until `onProgress` calls. */
  room(): number;
  /** Takes a batch along. Never blocks, never throws. */
  send(batch: Batch): void;
  /** Resolves when every batch sent so far has been dispatched to the subscribers. */
  flush(): Promise<void>;
  /** When the oldest event was published that was sent and not dispatched, in monotonic milliseconds. */
  oldestMs(): number | undefined;
  /** Calls back whenever a batch has been dispatched. */
  onProgress(listener: () => void): void;
  /** Tells the producer what the collector listens to: as soon as it is known, and whenever it changes. */
  onInterest(listener: (interest: Interest) => void): void;
}
