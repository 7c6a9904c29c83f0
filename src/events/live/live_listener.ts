import type { EventName } from "../catalogue.ts";
import type { WantedEvents } from "./wanted_events.ts";
import type { Delivered } from "../subscriber.ts";

/** Settings of a listener. */
export interface LiveListenerOptions {
  readonly wanted: Pick<WantedEvents, "types" | "tenant">;
  /** Most records that wait for it; with one more the oldest is lost. */
  readonly queueLimit: number;
  /** What it gets before anything that comes. */
  readonly backlog: readonly LiveItem[];
  /** Told once when it goes of its own accord. */
  readonly onLeave: () => void;
}

/** One who listens to a feed: a bounded queue, filled by the feed and emptied at the listener's own pace. */
export class LiveListener {
  readonly types: ReadonlySet<EventName>;
  readonly #options: LiveListenerOptions;
  #backlog: LiveItem[];
  #queue: LiveRecord[] = [];
  /** Lost between the backlog and the queue's first. */
  #loss: LiveLoss | undefined;
  #ended = false;
  #wake = () => {};

  constructor(options: LiveListenerOptions) {
    this.#options = options;
    this.types = new Set(options.wanted.types);
    this.#backlog = options.backlog.filter((item) => "lost" in item || this.#wants(item));
  }

  /** Whether nothing more will come. */
  get ended(): boolean {
    return this.#ended;
  }

  /** Takes a record of the feed, if it is wanted. */
  offer(record: LiveRecord): void {
    if (this.#ended || !this.#wants(record)) return;
    this.#queue.push(record);
    if (this.#queue.length > this.#options.queueLimit) this.#lose();
    this.#wake();
  }

  /** The next items, at most so many; none if nothing waits. */
  take(most: number): readonly LiveItem[] {
    if (this.#backlog.length > 0) return this.#backlog.splice(0, most);
    if (this.#loss === undefined) return this.#queue.splice(0, most);
    const loss = this.#loss;
    this.#loss = undefined;
    return [loss, ...this.#queue.splice(0, most - 1)];
  }

  /** Resolves when something waits or nothing more will come. */
  async wait(): Promise<void> {
    if (this.#ended || this.#backlog.length + this.#queue.length > 0) return;
    await new Promise<void>((resolve) => this.#wake = resolve);
  }

  /** Goes: nothing is kept for it from now on. */
  leave(): void {
    if (this.#ended) return;
    this.end();
    this.#options.onLeave();
  }

  /** The feed ends: what waits is dropped. */
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

/** An event or a folded group in its place among all that the feed has recorded, counted from 1. */
export interface LiveRecord {
  readonly sequence: number;
  readonly event: Delivered<EventName>;
}

/** Events that one listener does not get; `sequence` is the last place that this concerns. */
export interface LiveLoss {
  readonly sequence: number;
  /** How many that it wanted; undefined if nobody knows. */
  readonly lost: number | undefined;
}

/** What a listener gets. */
export type LiveItem = LiveRecord | LiveLoss;
