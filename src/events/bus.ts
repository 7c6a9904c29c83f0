import { type Clock, systemClock } from "../core/clock.ts";
import type { Publish } from "../core/publish.ts";
import type { EventCounts } from "./ledger/account.ts";
import type { EventMap, EventName } from "./catalogue.ts";
import { Collector } from "./collector.ts";
import { CounterRow } from "./ledger/counter_row.ts";
import { inProcess } from "./in_process.ts";
import { Ledger, type WayNumbers } from "./ledger/ledger.ts";
import { EventProducer } from "./producer.ts";
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
export interface BusStats extends WayNumbers {
  readonly events: ReadonlyMap<EventName, EventCounts>;
  readonly subscriberExceptions: ReadonlyMap<string, number>;
  /** Batches that came twice or out of turn; the producer sends what is missing again. */
  readonly ignoredBatches: { readonly duplicate: number; readonly gap: number };
  /** How often a producer did not answer a flush in time. */
  readonly flushTimeouts: number;
}

/**
 * The whole bus on one thread: a producer, a collector, and a direct call between them. Nothing is dispatched inside
 * publish.
 */
export class EventBus {
  /** States a fact; can be handed on without the bus. */
  readonly publish: Publish<EventMap>;
  readonly #collector = new Collector();
  readonly #ledger = new Ledger();
  readonly #clock: Clock;
  readonly #producer: EventProducer;

  constructor(options: BusOptions = {}) {
    const queueSize = options.queueSize ?? 8192;
    const row = new CounterRow();
    this.#clock = options.clock ?? systemClock;
    this.#producer = new EventProducer(inProcess(this.#collector, this.#ledger.open("main", row)), {
      clock: this.#clock,
      row,
      queueSize,
      batchSize: Math.max(1, queueSize),
      flushIntervalMs: options.flushIntervalMs ?? 20,
      foldIntervalMs: options.flushIntervalMs ?? 20,
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
      ...this.#ledger.way(this.#clock.monotonicMs()),
      events: this.#ledger.counts(),
      subscriberExceptions: this.#collector.exceptions(),
      ignoredBatches: { duplicate: 0, gap: 0 },
      flushTimeouts: 0,
    };
  }
}
