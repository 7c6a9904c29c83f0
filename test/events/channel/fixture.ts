import type { EventName } from "../../../src/events/catalogue.ts";
import { ChannelProducer, type ChannelProducerOptions } from "../../../src/events/channel/channel_producer.ts";
import { CollectorHub, type CollectorHubOptions } from "../../../src/events/channel/collector_hub.ts";
import { CounterRow } from "../../../src/events/ledger/counter_row.ts";
import type { Delivered } from "../../../src/events/delivered.ts";
import { eventNames } from "../../../src/events/schema.ts";
import type { Subscriber } from "../../../src/events/subscriber.ts";
import { FakeTime } from "./fake_time.ts";
import { LossyNet } from "./lossy_net.ts";

export const READ = { tenant: "", keys: 1, bytes: 10 } as const;

/** A hub and its producers in one thread, over a net and a clock that the test drives. */
export class Fixture {
  readonly time = new FakeTime();
  readonly net = new LossyNet();
  readonly hub: CollectorHub;

  constructor(options: Partial<CollectorHubOptions> = {}) {
    this.hub = new CollectorHub({ ...this.#common(), ...options });
  }

  producer(id: string, options: Partial<ChannelProducerOptions> = {}): ChannelProducer {
    const countersRow = CounterRow.allocate();
    this.hub.addProducer(id, countersRow);
    return new ChannelProducer({ ...this.#common(), id, countersRow, ...options });
  }

  /** Everything arrives from now on, and time passes until nobody has anything left to say. */
  async calm(turns = 60): Promise<void> {
    for (let turn = 0; turn < turns; turn++) {
      await this.net.deliver();
      await this.time.advance(100);
    }
    await this.net.deliver();
  }

  /** Lets time pass until something comes about. */
  async during<T>(promise: Promise<T>): Promise<T> {
    const progress = { settled: false };
    const end = () => {
      progress.settled = true;
    };
    promise.then(end, end);
    for (let turn = 0; turn < 2000 && !progress.settled; turn++) {
      await this.net.deliver();
      await this.time.advance(5);
    }
    return await promise;
  }

  #common() {
    return { channelName: "test", clock: this.time.clock, schedule: this.time.schedule, open: this.net.open };
  }
}

/** Keeps what it is handed. */
export function recorder(detail: readonly EventName[] = []) {
  const seen: Delivered<EventName>[] = [];
  const subscriptions: Subscriber["subscriptions"] = {
    "l1.read.finished": (event) => seen.push(event),
    "l1.removed": (event) => seen.push(event),
  };
  return { seen, subscriber: { name: "recorder", subscriptions, detail } };
}

/** The identity that must hold whenever it is asked, for every type and every producer. */
export function brokenIdentities(hub: CollectorHub): readonly string[] {
  const { events, producers } = hub.stats();
  return [events, ...producers.values()].flatMap((counts) =>
    eventNames.filter((name) => {
      const { published = 0, delivered = 0, rolledUp = 0, lost = 0 } = counts.get(name) ?? {};
      return published !== delivered + rolledUp + lost || lost < 0;
    })
  );
}
