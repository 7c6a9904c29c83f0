import type { Publish } from "../../core/publish.ts";
import { VitrineError } from "../../core/errors.ts";
import type { EventCounts } from "../ledger/account.ts";
import type { BusStats } from "../bus.ts";
import type { EventMap, EventName } from "../catalogue.ts";
import { Collector } from "../collector.ts";
import { CounterRow } from "../ledger/counter_row.ts";
import { inProcess } from "../in_process.ts";
import { Ledger } from "../ledger/ledger.ts";
import { EventProducer } from "../producer.ts";
import type { Subscriber } from "../subscriber.ts";
import type { Channel } from "./channel.ts";
import { within } from "./deadline.ts";
import { Peer, type VersionedInterest } from "./peer.ts";
import { Pump } from "./pump.ts";
import type { Answer, Question } from "./questions.ts";
import { channelOf, type ChannelOptions, channelSettings } from "./settings.ts";

/** Settings of the collecting end. */
export interface CollectorHubOptions extends ChannelOptions {
  /** What producers may ask, by topic. */
  readonly answers?: Readonly<Record<string, Answer>>;
  /**
   * Producers keep everything until `tellInterest`: for subscribers that come after the producers have begun. Default
   * false.
   */
  readonly holdInterest?: boolean;
  /** How long dispatching may hold the thread at a time. Default 4. */
  readonly sliceMs?: number;
  /** Told the first exception of each subscriber. Default: nobody is told. */
  readonly onException?: (name: string, error: unknown) => void;
}

/** The bus's numbers about itself, over all producers that ever were. */
export interface HubStats extends BusStats {
  /** Of the producers that live, "main" among them. */
  readonly producers: ReadonlyMap<string, ReadonlyMap<EventName, EventCounts>>;
}

/**
 * The bus's end in the main thread: subscribers here, producers here (`publish`) and on other threads
 * (ChannelProducer).
 */
export class CollectorHub {
  /** States a fact of this thread; can be handed on without the hub. */
  readonly publish: Publish<EventMap>;
  readonly #settings: ReturnType<typeof channelSettings>;
  readonly #answers: ReadonlyMap<string, Answer>;
  readonly #collector: Collector;
  readonly #ledger = new Ledger();
  readonly #pump: Pump;
  readonly #local: EventProducer;
  readonly #peers = new Map<string, Peer>();
  /**
   * Open as long as the hub: a thread that closes its last channel and opens another at once has a dead one then (seen
   * in 2.9.6).
   */
  readonly #anchor: Channel;
  readonly #ignored = { duplicate: 0, gap: 0 };
  #interest: VersionedInterest = { version: 0, interest: new Map() };
  #flushTimeouts = 0;
  #holdsInterest: boolean;

  constructor(options: CollectorHubOptions) {
    const settings = channelSettings(options);
    const { clock, schedule } = settings;
    const row = new CounterRow();
    this.#settings = settings;
    this.#collector = new Collector(options.onException);
    this.#holdsInterest = options.holdInterest ?? false;
    this.#anchor = settings.open(settings.channelName);
    this.#answers = new Map(Object.entries(options.answers ?? {}));
    this.#pump = new Pump(this.#collector, { clock, schedule, sliceMs: options.sliceMs ?? 4 });
    this.#local = new EventProducer(inProcess(this.#collector, this.#ledger.open("main", row)), {
      clock,
      row,
      queueSize: 1024,
      batchSize: 1024,
      flushIntervalMs: 20,
      foldIntervalMs: 20,
      schedule,
    });
    this.publish = this.#local.publish;
    this.#collector.onInterest((interest) => {
      this.#interest = { version: this.#interest.version + 1, interest };
      if (!this.#holdsInterest) this.#tellAll();
    });
  }

  /** Ends `holdInterest`: the subscribers are complete, and producers may drop what nobody wants. */
  tellInterest(): void {
    this.#holdsInterest = false;
    this.#tellAll();
  }

  /** Adds a subscriber; the function returned removes it. */
  subscribe(subscriber: Subscriber): () => void {
    return this.#collector.subscribe(subscriber);
  }

  /**
   * Expects a producer; best before its thread starts. `id`: never used before. `countersRow`: from
   * CounterRow.allocate.
   */
  addProducer(id: string, countersRow: SharedArrayBuffer): void {
    const { channelName, schedule, retryMs, open } = this.#settings;
    if (this.#peers.has(id)) throw new VitrineError("bad_request", `add a producer: there already: ${id}`);
    this.#peers.set(
      id,
      new Peer({
        channel: open(channelOf(channelName, id)),
        account: this.#ledger.open(id, new CounterRow(countersRow)),
        pump: this.#pump,
        interest: this.#holdsInterest ? undefined : this.#interest,
        answers: this.#answers,
        schedule,
        retryMs,
        onIgnored: (why) => {
          this.#ignored[why]++;
        },
      }),
    );
  }

  /**
   * Closes the account of a producer whose thread has ended, well or not: what has arrived is dispatched first, what it
   * had published beyond that is lost. Whatever comes later is ignored.
   */
  async producerGone(id: string): Promise<void> {
    // Messages that have arrived and not been heard come first.
    await this.#nextTurn();
    this.#peers.get(id)?.close();
    this.#peers.delete(id);
    await this.#pump.flush();
    this.#ledger.retire(id, this.#collector.interest());
  }

  /**
   * Resolves when everything that was published before has been dispatched. Answers the producers that did not make it
   * in time; one that has nothing, maybe because its thread has not started yet, is not waited for.
   */
  async flush(deadlineMs = 500): Promise<readonly string[]> {
    const { schedule } = this.#settings;
    const missing = await Promise.all(
      Array.from(this.#peers).filter(([, peer]) => !peer.settled).map(async ([id, peer]) => {
        const { reached, cancel } = peer.flush();
        const inTime = await within(reached, { schedule, deadlineMs });
        cancel();
        return inTime ? [] : [id];
      }),
    );
    await this.#local.flush();
    const silent = missing.flat();
    this.#flushTimeouts += silent.length;
    return silent;
  }

  /** Resolves when every producer goes by the subscriptions of this moment, or after the deadline. */
  async interestHeard(deadlineMs = 500): Promise<void> {
    const { schedule } = this.#settings;
    await within(Promise.all(Array.from(this.#peers.values(), ({ heard }) => heard)), { schedule, deadlineMs });
  }

  /** Asks a producer's thread. Throws VitrineError (shutting_down) if no answer comes in time. */
  async request(id: string, question: Question): Promise<string> {
    const peer = this.#peers.get(id);
    if (peer === undefined) throw new VitrineError("shutting_down", `ask across threads: no such producer: ${id}`);
    return await peer.ask(question);
  }

  /**
   * Flushes, closes every channel and shuts the subscribers down. Stop the producers before, or what they publish from
   * now on is lost.
   */
  async stop(deadlineMs = 500): Promise<void> {
    await this.flush(deadlineMs);
    await Promise.all([...this.#peers.keys()].map((id) => this.producerGone(id)));
    await this.#local.stop();
    await this.#collector.shutdown();
    this.#anchor.close();
    // So that the next hub of this thread can open channels at once; see #anchor.
    await this.#nextTurn();
  }

  /** This bus's numbers about itself. */
  stats(): HubStats {
    return {
      ...this.#ledger.way(this.#settings.clock.monotonicMs()),
      events: this.#ledger.counts(),
      producers: this.#ledger.byProducer(),
      subscriberExceptions: this.#collector.exceptions(),
      ignoredBatches: { ...this.#ignored },
      flushTimeouts: this.#flushTimeouts,
    };
  }

  #nextTurn(): Promise<void> {
    const { schedule } = this.#settings;
    return new Promise((resolve) => void schedule(resolve, 0));
  }

  #tellAll(): void {
    for (const peer of this.#peers.values()) peer.tell(this.#interest);
  }
}
