import { type EventName, eventNames } from "./catalogue.ts";
import type { Delivered, Subscriber, SubscriptionLevel, SubscriptionLevels, Subscriptions } from "./subscriber.ts";
import type { Clock } from "../core/clock.ts";

/**
 * The receiving end of the bus: keeps the subscribers, tells the producers what is listened to, and hands every event
 * and group to everyone who listens to its type.
 */
export class Dispatcher {
  readonly #subscribers = new Set<Subscriber>();
  /** Who listens to a type, in the order of their subscription. */
  #heard: ReadonlyMap<EventName, readonly Subscriber[]> = new Map();
  readonly #listeners = new Set<(levels: SubscriptionLevels) => void>();
  readonly #exceptions = new Map<string, number>();
  readonly #onException: (name: string, error: unknown) => void;

  /**
   * `onException`: told the first exception of each subscriber; further ones are only counted. Default: nobody is told.
   */
  constructor(onException: (name: string, error: unknown) => void = () => {}) {
    this.#onException = onException;
  }

  /** Adds a subscriber; the function returned removes it without calling its shutdown. */
  subscribe(subscriber: Subscriber): () => void {
    this.#subscribers.add(subscriber);
    this.#exceptions.set(subscriber.name, this.#exceptions.get(subscriber.name) ?? 0);
    this.#announceLevels();
    return () => {
      if (this.#subscribers.delete(subscriber)) this.#announceLevels();
    };
  }

  /** Calls back with what is listened to: now, and whenever it changes. */
  onLevels(listener: (levels: SubscriptionLevels) => void): void {
    this.#listeners.add(listener);
    listener(this.levels());
  }

  /** What is listened to, and how closely. */
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

  /** Hands an event or a group to everyone who listens to its type. Never throws. */
  dispatch(event: Delivered<EventName>): void {
    for (const subscriber of this.#heard.get(event.name) ?? []) {
      try {
        call(subscriber.subscriptions, event);
      } catch (error) {
        this.#countException(subscriber.name, error);
      }
    }
  }

  /** Exceptions per subscriber name; a subscriber that never threw is there with 0. */
  exceptions(): ReadonlyMap<string, number> {
    return new Map(this.#exceptions);
  }

  /** Shuts every subscriber down, each whatever the others do, and forgets them. */
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
    this.#heard = new Map(
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

/** What became of the events of one type: published = delivered + rolledUp + lost, whenever it is asked. */
export interface EventCounts {
  /** Events that the dispatcher has found in the memory of their producers. */
  readonly published: number;
  /** Dispatched one by one, with details. */
  readonly delivered: number;
  /** Dispatched as part of a group. */
  readonly rolledUp: number;
  /** Individual events that could not be read. */
  readonly lost: number;
  /** Rolled up although somebody wanted details: there was no room. */
  readonly shed: number;
  /** Published and not dispatched yet: not part of `published`. */
  readonly pending: number;
}

type Total = { -readonly [K in Exclude<keyof EventCounts, "published" | "pending">]: number };

/** Counts events by type and by what became of them, over all producers that ever were. */
export class EventTotals {
  readonly #totals: readonly Total[] = eventNames.map(() => ({ delivered: 0, rolledUp: 0, lost: 0, shed: 0 }));

  /** An individual event of a type, by its place in the catalogue, was dispatched, or could not be read. */
  addIndividual(type: number, isLost: boolean): void {
    const total = this.#totals[type];
    if (total === undefined) return;
    if (isLost) total.lost++;
    else total.delivered++;
  }

  /** A group was dispatched. */
  addGroup(type: number, count: number, shed: boolean): void {
    const total = this.#totals[type];
    if (total === undefined) return;
    total.rolledUp += count;
    if (shed) total.shed += count;
  }

  /** In the order of the catalogue. `pending`: by type. */
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
  /** How long they may hold the thread at a time. */
  readonly sliceMs: number;
  /** Lets others use the thread. */
  readonly pause: () => Promise<void>;
}

/** Events between two looks at the clock. */
const STRIDE = 16;

/** Divides long work into slices, so that its thread stays open for other work between them. */
export class Slices {
  readonly #options: SlicesOptions;
  #events = 0;
  #isOpen = false;
  #endMs = 0;

  constructor(options: SlicesOptions) {
    this.#options = options;
  }

  /**
   * Whether this slice is over; to be asked after each event. A slice lasts until others have had their turn, however
   * many looks fall into it.
   */
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

  /** Resolves when others have had their turn. */
  pause(): Promise<void> {
    return this.#options.pause();
  }
}
