import { type EventName, eventNames } from "./catalogue.ts";
import type { Delivered, Subscriber, SubscriptionLevel, SubscriptionLevels, Subscriptions } from "./subscriber.ts";
import type { Clock } from "../core/clock.ts";

/** Keeps the subscribers, passes each event to the subscribers of its type, and announces which types have any. */
export class Dispatcher {
  readonly #subscribers = new Set<Subscriber>();
  /** By event type, in the order of subscription. */
  #byType: ReadonlyMap<EventName, readonly Subscriber[]> = new Map();
  readonly #listeners = new Set<(levels: SubscriptionLevels) => void>();
  readonly #exceptions = new Map<string, number>();
  readonly #onException: (name: string, error: unknown) => void;

  /** `onException`: called with the first exception of each subscriber; later ones are only counted. */
  constructor(onException: (name: string, error: unknown) => void = () => {}) {
    this.#onException = onException;
  }

  /** Adds a subscriber. The returned function removes it without calling its shutdown. */
  subscribe(subscriber: Subscriber): () => void {
    this.#subscribers.add(subscriber);
    this.#exceptions.set(subscriber.name, this.#exceptions.get(subscriber.name) ?? 0);
    this.#announceLevels();
    return () => {
      if (this.#subscribers.delete(subscriber)) this.#announceLevels();
    };
  }

  /** Calls back with the subscription levels, now and whenever they change. */
  onLevels(listener: (levels: SubscriptionLevels) => void): void {
    this.#listeners.add(listener);
    listener(this.levels());
  }

  /** The level of each subscribed event type: the highest that any subscriber wants. */
  levels(): SubscriptionLevels {
    const levels = new Map<EventName, SubscriptionLevel>();
    for (const { subscriptions, individual = [], traced = [] } of this.#subscribers) {
      for (const name of eventNames) {
        if (subscriptions[name] === undefined) continue;
        if (individual.includes(name)) levels.set(name, "individual");
        else if (traced.includes(name) && levels.get(name) !== "individual") levels.set(name, "traced");
        else if (!levels.has(name)) levels.set(name, "aggregated");
      }
    }
    return levels;
  }

  /** Passes an event or aggregate to the subscribers of its type. Never throws. */
  dispatch(event: Delivered<EventName>): void {
    for (const subscriber of this.#byType.get(event.name) ?? []) {
      try {
        call(subscriber.subscriptions, event);
      } catch (error) {
        this.#countException(subscriber.name, error);
      }
    }
  }

  /** Exceptions by subscriber name; 0 for a subscriber that never threw. */
  exceptions(): ReadonlyMap<string, number> {
    return new Map(this.#exceptions);
  }

  /** Shuts down and removes all subscribers, even if some of them fail. */
  async shutdown(): Promise<void> {
    const subscribers = [...this.#subscribers];
    this.#subscribers.clear();
    this.#announceLevels();
    await Promise.all(subscribers.map(async (subscriber) => {
      try {
        await subscriber.shutdown?.();
      } catch (error) {
        this.#countException(subscriber.name, error);
      }
    }));
  }

  #announceLevels(): void {
    const subscribers = [...this.#subscribers];
    this.#byType = new Map(
      eventNames.map((name) => [name, subscribers.filter(({ subscriptions }) => subscriptions[name] !== undefined)]),
    );
    const levels = this.levels();
    for (const listener of this.#listeners) listener(levels);
  }

  #countException(subscriber: string, error: unknown): void {
    const before = this.#exceptions.get(subscriber) ?? 0;
    this.#exceptions.set(subscriber, before + 1);
    if (before === 0) this.#onException(subscriber, error);
  }
}

function call<Name extends EventName>(subscriptions: Subscriptions, event: Delivered<Name>): void {
  const name: Name = event.name;
  subscriptions[name]?.(event);
}

/** The events of one type by state. At any time, published = delivered + rolledUp + lost. */
export interface EventCounts {
  /** Events that the collector has read from the memory of their producers. */
  readonly published: number;
  /** Dispatched individually, with details. */
  readonly delivered: number;
  /** Dispatched as part of an aggregate. */
  readonly rolledUp: number;
  /** Individual events that could not be read. */
  readonly lost: number;
  /** Rolled up although a subscriber wanted details, because there was no room. */
  readonly shed: number;
  /** Published and not yet dispatched; not part of `published`. */
  readonly pending: number;
}

type Total = { -readonly [K in Exclude<keyof EventCounts, "published" | "pending">]: number };

/** Counts events by type and state, over all producers so far. */
export class EventTotals {
  readonly #totals: readonly Total[] = eventNames.map(() => ({ delivered: 0, rolledUp: 0, lost: 0, shed: 0 }));

  /** Counts an individual event that was dispatched or could not be read. `type`: its index in the catalogue. */
  addIndividual(type: number, isLost: boolean): void {
    const total = this.#totals[type];
    if (total === undefined) return;
    if (isLost) total.lost++;
    else total.delivered++;
  }

  /** Counts a dispatched aggregate. */
  addGroup(type: number, count: number, shed: boolean): void {
    const total = this.#totals[type];
    if (total === undefined) return;
    total.rolledUp += count;
    if (shed) total.shed += count;
  }

  /** The counts in the order of the catalogue. `pending`: by type. */
  counts(pending: readonly number[]): ReadonlyMap<EventName, EventCounts> {
    return new Map(eventNames.map((name, type) => {
      const { delivered = 0, rolledUp = 0, lost = 0, shed = 0 } = this.#totals[type] ?? {};
      const published = delivered + rolledUp + lost;
      return [name, { published, delivered, rolledUp, lost, shed, pending: pending[type] ?? 0 }];
    }));
  }
}

/** Settings of slices. */
interface SlicesOptions {
  readonly clock: Clock;
  /** Maximum duration of a slice. */
  readonly sliceMs: number;
  /** Yields the thread. */
  readonly pause: () => Promise<void>;
}

/** The clock is read once for this many events. */
const STRIDE = 16;

/** Divides long work into slices, between which other work can run on the thread. */
export class Slices {
  readonly #options: SlicesOptions;
  #events = 0;
  #isOpen = false;
  #endMs = 0;

  constructor(options: SlicesOptions) {
    this.#options = options;
  }

  /** True if the slice is over. To be called after each event. A slice lasts until other work has run. */
  isOver(): boolean {
    if (++this.#events % STRIDE !== 0) return false;
    const monotonicMs = this.#options.clock.monotonicMs();
    if (!this.#isOpen) {
      this.#isOpen = true;
      this.#endMs = monotonicMs + this.#options.sliceMs;
      void this.pause().then(() => this.#isOpen = false);
    }
    return monotonicMs >= this.#endMs;
  }

  /** Resolves when other work has run. */
  pause(): Promise<void> {
    return this.#options.pause();
  }
}
