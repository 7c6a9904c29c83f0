import type { EventName } from "../catalogue.ts";
import type { WantedEvents } from "./wanted_events.ts";
import type { Delivered } from "../subscriber.ts";

/** Settings of a listener. */
export interface LiveListenerOptions {
  readonly wanted: Pick<WantedEvents, "types" | "tenant">;
  /** Maximum number of queued records; past that the oldest is lost. */
  readonly queueLimit: number;
  /** Items that it gets first. */
  readonly backlog: readonly LiveItem[];
  /** Called once when it leaves by itself. */
  readonly onLeave: () => void;
}

/** A listener of a feed: a bounded queue that the feed fills and the listener empties at its own pace. */
export class LiveListener {
  readonly types: ReadonlySet<EventName>;
  readonly #options: LiveListenerOptions;
  #backlog: LiveItem[];
  #queue: LiveRecord[] = [];
  /** Records lost between the backlog and the start of the queue. */
  #loss: LiveLoss | undefined;
  #ended = false;
  #wake = () => {};

  constructor(options: LiveListenerOptions) {
    this.#options = options;
    this.types = new Set(options.wanted.types);
    this.#backlog = options.backlog.filter((item) => "lost" in item || this.#wants(item));
  }

  /** True if no more items will come. */
  get ended(): boolean {
    return this.#ended;
  }

  /** Queues a record of the feed, if the listener wants it. */
  offer(record: LiveRecord): void {
    if (this.#ended || !this.#wants(record)) return;
    this.#queue.push(record);
    if (this.#queue.length > this.#options.queueLimit) this.#lose();
    this.#wake();
  }

  /** Takes the next items; empty if none are queued. */
  take(most: number): readonly LiveItem[] {
    if (this.#backlog.length > 0) return this.#backlog.splice(0, most);
    if (this.#loss === undefined) return this.#queue.splice(0, most);
    const loss = this.#loss;
    this.#loss = undefined;
    return [loss, ...this.#queue.splice(0, most - 1)];
  }

  /** Resolves when an item is queued or no more will come. */
  async wait(): Promise<void> {
    if (this.#ended || this.#backlog.length + this.#queue.length > 0) return;
    await new Promise<void>((resolve) => this.#wake = resolve);
  }

  /** Leaves the feed. */
  leave(): void {
    if (this.#ended) return;
    this.end();
    this.#options.onLeave();
  }

  /** Ends the listener and drops its queue. */
  end(): void {
    this.#ended = true;
    this.#backlog = [];
    this.#queue = [];
    this.#loss = undefined;
    this.#wake();
  }

  #wants({ event }: LiveRecord): boolean {
    const { tenant } = this.#options.wanted;
    return this.types.has(event.name) && (tenant === undefined || ("tenant" in event && event.tenant === tenant));
  }

  #lose(): void {
    const oldest = this.#queue.shift();
    if (oldest === undefined) return;
    this.#loss = { sequence: oldest.sequence, lost: (this.#loss?.lost ?? 0) + oldest.event.count };
  }
}

/** An event or aggregate, with its sequence number in the feed, from 1. */
export interface LiveRecord {
  readonly sequence: number;
  readonly event: Delivered<EventName>;
}

/** Events that a listener lost, up to `sequence`. */
export interface LiveLoss {
  readonly sequence: number;
  /** The number of lost events that it wanted; undefined if unknown. */
  readonly lost: number | undefined;
}

/** An item for a listener. */
export type LiveItem = LiveRecord | LiveLoss;
