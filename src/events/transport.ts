import type { EventName } from "./catalogue.ts";
import type { Delivered } from "./delivered.ts";
import type { Interest } from "./subscriber.ts";

/** What a producer hands over at a time. */
export interface Batch {
  /** Which producer this comes from; one per thread. */
  readonly producer: string;
  /** In the order in which they were published. */
  readonly singles: readonly Delivered<EventName>[];
  /** Folded events, in no order. */
  readonly groups: readonly Delivered<EventName>[];
  /** Counted at publish, since the producer began and up to this batch, so that the collector can tell when a batch went missing. */
  readonly counts: ReadonlyMap<EventName, { readonly published: number; readonly shed: number }>;
}

/** What lies between one producer and the collector. */
export interface Transport {
  /** Takes a batch along. Never blocks, never throws. */
  send(batch: Batch): void;
  /** Resolves when every batch sent so far has been dispatched to the subscribers. */
  flush(): Promise<void>;
  /** Tells the producer what the collector listens to: now, and whenever it changes. */
  onInterest(listener: (interest: Interest) => void): void;
}
