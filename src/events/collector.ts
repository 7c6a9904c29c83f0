import type { EventName } from "./catalogue.ts";
import type { Delivered } from "./delivered.ts";
import { eventNames } from "./schema.ts";
import type { Closeness, Interest, Subscriber, Subscriptions } from "./subscriber.ts";

/**
 * The receiving end of the bus: keeps the subscribers, tells the producers what is listened to, and hands every event
 * and group to everyone who listens to its type.
 */
export class Collector {
  readonly #subscribers = new Set<Subscriber>();
  /** Who listens to a type, in the order of their subscription. */
  #heard: ReadonlyMap<EventName, readonly Subscriber[]> = new Map();
  readonly #listeners = new Set<(interest: Interest) => void>();
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
    this.#tellInterest();
    return () => {
      if (this.#subscribers.delete(subscriber)) this.#tellInterest();
    };
  }

  /** Calls back with what is listened to: now, and whenever it changes. */
  onInterest(listener: (interest: Interest) => void): void {
    this.#listeners.add(listener);
    listener(this.interest());
  }

  /** What is listened to, and how closely. */
  interest(): Interest {
    const interest = new Map<EventName, Closeness>();
    for (const { subscriptions, detail = [], followed = [] } of this.#subscribers) {
      for (const name of eventNames) {
        if (subscriptions[name] === undefined) continue;
        if (detail.includes(name)) interest.set(name, "detail");
        else if (followed.includes(name) && interest.get(name) !== "detail") interest.set(name, "followed");
        else if (!interest.has(name)) interest.set(name, "folded");
      }
    }
    return interest;
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
    this.#tellInterest();
    await Promise.all(subscribers.map(async (subscriber) => {
      try {
        await subscriber.shutdown?.();
      } catch (error) {
        this.#countException(subscriber.name, error);
      }
    }));
  }

  #tellInterest(): void {
    const subscribers = [...this.#subscribers];
    this.#heard = new Map(
      eventNames.map((name) => [name, subscribers.filter(({ subscriptions }) => subscriptions[name] !== undefined)]),
    );
    const interest = this.interest();
    for (const listener of this.#listeners) listener(interest);
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
