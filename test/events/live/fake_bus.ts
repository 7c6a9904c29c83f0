import type { EventName } from "../../../src/events/catalogue.ts";
import { deliver, type Delivered, type Subscriber } from "../../../src/events/subscriber.ts";
import { LiveFeed, type LiveLimits } from "../../../src/events/live/live_feed.ts";
import { FakeTime } from "../fake_time.ts";

/** Limits that a test reaches soon. */
export const SMALL: LiveLimits = { listeners: 3, queue: 4, recent: 6, lingerMs: 1000 };

/** A bus that dispatches at once, and a feed on it. */
export class FakeBus {
  readonly time = new FakeTime();
  readonly subscribers = new Set<Subscriber>();
  /** How many were subscribed at a time, after each change. */
  readonly history: number[] = [];
  readonly feed: LiveFeed;

  constructor(limits = SMALL) {
    this.feed = new LiveFeed({ source: this, schedule: this.time.schedule, nonce: "n", limits });
  }

  subscribe(subscriber: Subscriber): () => void {
    this.subscribers.add(subscriber);
    this.history.push(this.subscribers.size);
    return () => {
      this.subscribers.delete(subscriber);
      this.history.push(this.subscribers.size);
    };
  }

  /** The types that are subscribed now. */
  types(): readonly string[] {
    return Array.from(this.subscribers, ({ subscriptions }) => Object.keys(subscriptions)).flat();
  }

  /** Hands an event, or a group of several, to the subscribers. */
  publish(
    name: EventName,
    { tenant = "", count = 1 }: { readonly tenant?: string; readonly count?: number } = {},
  ): void {
    this.#dispatch(
      deliver({ name, timeMs: this.time.nowMs, count, folded: count > 1 }, { tenant, keys: count, bytes: 0 }),
    );
  }

  #dispatch<Name extends EventName>(event: Delivered<Name>): void {
    const name: Name = event.name;
    for (const { subscriptions } of this.subscribers) subscriptions[name]?.(event);
  }
}
