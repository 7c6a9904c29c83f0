import { type OpenNotifier, openProducer, type ThreadProducer } from "../../src/events/producer.ts";
import { type BusOptions, EventBus } from "../../src/events/bus.ts";
import type { EventName } from "../../src/events/catalogue.ts";
import type { Delivered, Subscriber } from "../../src/events/subscriber.ts";
import { allocateSegment } from "../../src/events/memory/segment.ts";
import { FakeTime } from "./fake_time.ts";

export const READ = { tenant: "", keys: 1, bytes: 10 } as const;

/** Notifiers that the test carries: what was said waits until it is delivered, lost or repeated. */
export class Notifiers {
  /** What waits, the oldest first. */
  readonly said: { readonly name: string; readonly written: number }[] = [];
  readonly #ears = new Map<string, (written: number) => void>();

  readonly open: OpenNotifier = (name, onNotify) => {
    if (onNotify !== undefined) this.#ears.set(name, onNotify);
    return {
      notify: (written) => void this.said.push({ name, written }),
      close: () => void (onNotify !== undefined && this.#ears.delete(name)),
    };
  };

  /** Delivers the oldest. */
  deliver(times = 1): void {
    const next = this.said.shift();
    if (next === undefined) return;
    for (let time = 0; time < times; time++) this.#ears.get(next.name)?.(next.written);
  }
}

/** A bus and producers of other threads in one thread, with a clock and notifiers that the test drives. */
export class Fixture {
  readonly time = new FakeTime();
  readonly notifiers = new Notifiers();
  readonly bus: EventBus;
  /** Of the newest producer. */
  memory: SharedArrayBuffer = allocateSegment(1);

  constructor(options: Partial<BusOptions> = {}) {
    const { clock, schedule } = this.time;
    this.bus = new EventBus({ name: "test", clock, schedule, open: this.notifiers.open, ...options });
  }

  producer(id: string, queueSize = 100): ThreadProducer {
    const { clock, schedule } = this.time;
    const memory = allocateSegment(queueSize);
    this.bus.addProducer(id, memory);
    this.memory = memory;
    return openProducer({ bus: "test", id, memory, queueSize }, { clock, schedule, open: this.notifiers.open });
  }
}

/** Keeps what it is handed. */
export function recorder(individual: readonly EventName[] = []) {
  const seen: Delivered<EventName>[] = [];
  const subscriptions: Subscriber["subscriptions"] = {
    "l1.read.finished": (event) => seen.push(event),
    "l1.removed": (event) => seen.push(event),
  };
  const subscriber: Subscriber = { name: "recorder", subscriptions, individual };
  return { seen, subscriber };
}

/** How many events these are together. */
export function sumOf(events: readonly { readonly count: number }[]): number {
  return events.reduce((sum, { count }) => sum + count, 0);
}
