import type { EventName } from "./catalogue.ts";
import type { Delivered } from "./delivered.ts";
import { eventNames } from "./schema.ts";
import type { Interest, Subscriber, Subscriptions } from "./subscriber.ts";
import type { Batch } from "./transport.ts";

/** What became of the events of one type: published = delivered + rolledUp + lost, whenever it is asked. */
export interface EventCounts {
  /** As far as the producers' batches have told. */
  readonly published: number;
  /** One by one, with details. */
  readonly delivered: number;
  /** As part of a group. */
  readonly rolledUp: number;
  /** Published and never arrived. */
  readonly lost: number;
  /** Rolled up although someone wanted details: the queue was full. */
  readonly shed: number;
}

/**
 * The receiving end of the bus: keeps the subscribers, tells the producers what is listened to, and hands every event and group
 * to everyone who listens to its type.
 */
export class Collector {
  readonly #subscribers = new Set<Subscriber>();
  readonly #listeners: ((interest: Interest) => void)[] = [];
  readonly #exceptions = new Map<string, number>();
  readonly #lastCounts = new Map<string, Batch["counts"]>();
  readonly #delivered = new Map<EventName, number>();
  readonly #rolledUp = new Map<EventName, number>();

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
    this.#listeners.push(listener);
    listener(this.#interest());
  }

  /** Dispatches a batch: single events in order, then groups. */
  receive(batch: Batch): void {
    this.#lastCounts.set(batch.producer, batch.counts);
    for (const event of batch.singles) {
      add(this.#delivered, event.name, 1);
      this.#dispatch(event);
    }
    for (const group of batch.groups) {
      add(this.#rolledUp, group.name, group.count);
      this.#dispatch(group);
    }
  }

  /** Per event type, in the order of the catalogue. */
  counts(): ReadonlyMap<EventName, EventCounts> {
    return new Map(eventNames.map((name) => [name, this.#countsOf(name)]));
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
      } catch {
        add(this.#exceptions, subscriber.name, 1);
      }
    }));
  }

  #interest(): Interest {
    const interest = new Map<EventName, "folded" | "detail">();
    for (const { subscriptions, detail = [] } of this.#subscribers) {
      for (const name of eventNames) {
        if (subscriptions[name] === undefined) continue;
        if (detail.includes(name)) interest.set(name, "detail");
        else if (!interest.has(name)) interest.set(name, "folded");
      }
    }
    return interest;
  }

  #tellInterest(): void {
    const interest = this.#interest();
    for (const listener of this.#listeners) listener(interest);
  }

  #dispatch(event: Delivered<EventName>): void {
    for (const subscriber of this.#subscribers) {
      try {
        call(subscriber.subscriptions, event);
      } catch {
        add(this.#exceptions, subscriber.name, 1);
      }
    }
  }

  #countsOf(name: EventName): EventCounts {
    const told = [...this.#lastCounts.values()].map((counts) => counts.get(name));
    const published = told.reduce((sum, counts) => sum + (counts?.published ?? 0), 0);
    const shed = told.reduce((sum, counts) => sum + (counts?.shed ?? 0), 0);
    const delivered = this.#delivered.get(name) ?? 0;
    const rolledUp = this.#rolledUp.get(name) ?? 0;
    return { published, delivered, rolledUp, lost: published - delivered - rolledUp, shed };
  }
}

function call<Name extends EventName>(subscriptions: Subscriptions, event: Delivered<Name>): void {
  const name: Name = event.name;
  subscriptions[name]?.(event);
}

function add<Key>(counters: Map<Key, number>, key: Key, addend: number): void {
  counters.set(key, (counters.get(key) ?? 0) + addend);
}
