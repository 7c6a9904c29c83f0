import { type Clock, systemClock } from "../core/clock.ts";
import type { Publish } from "../core/publish.ts";
import type { EventMap, EventName } from "./catalogue.ts";
import { Collector, type EventCounts } from "./collector.ts";
import { inProcess } from "./in_process.ts";
import { EventProducer, type Pending } from "./producer.ts";
import type { Subscriber } from "./subscriber.ts";
import { type Schedule, unrefTimer } from "./timer.ts";

/** Settings of a bus. */
export interface BusOptions {
  /** Default: the system's. */
  readonly clock?: Clock;
  /** Most single events that wait for a drain; more are folded. Default 8192. */
  readonly queueSize?: number;
  /** How long an event may wait before it is dispatched. Default 20. */
  readonly flushIntervalMs?: number;
  /** Default: a timer that does not hold the process. */
  readonly schedule?: Schedule;
}

/** The bus's numbers about itself. */
export interface BusStats extends Pending {
  readonly events: ReadonlyMap<EventName, EventCounts>;
  readonly subscriberExceptions: ReadonlyMap<string, number>;
}

/** The whole bus on one thread: a producer, a collector, and a direct call between them. Nothing is dispatched inside publish. */
export class EventBus {
  /** States a fact; can be handed on without the bus. */
  readonly publish: Publish<EventMap>;
  readonly #collector = new Collector();
  readonly #producer: EventProducer;

  constructor(options: BusOptions = {}) {
    this.#producer = new EventProducer(inProcess(this.#collector), {
      clock: options.clock ?? systemClock,
      producer: "main",
      queueSize: options.queueSize ?? 8192,
      flushIntervalMs: options.flushIntervalMs ?? 20,
      schedule: options.schedule ?? unrefTimer,
    });
    this.publish = this.#producer.publish;
  }

  /** Adds a subscriber, which hears of everything published from now on; the function returned removes it. */
  subscribe(subscriber: Subscriber): () => void {
    return this.#collector.subscribe(subscriber);
  }

  /** Resolves when everything published so far has been dispatched. */
  flush(): Promise<void> {
    return this.#producer.flush();
  }

  /** Dispatches what waits, then shuts the subscribers down. Events published after that are ignored. */
  async stop(): Promise<void> {
    await this.#producer.stop();
    await this.#collector.shutdown();
  }

  stats(): BusStats {
    return {
      ...this.#producer.pending(),
      events: this.#collector.counts(),
      subscriberExceptions: this.#collector.exceptions(),
    };
  }
}
