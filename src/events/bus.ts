import { type Clock, systemClock } from "../core/clock.ts";
import { VitrineError } from "../core/errors.ts";
import type { Publish } from "../core/publish.ts";
import { shareRuns } from "../core/share_runs.ts";
import { type Notifier, notifierName, type OpenNotifier, openNotifier } from "./notifier.ts";
import { type EventMap, type EventName, eventNames } from "./catalogue.ts";
import { Dispatcher, type EventCounts, EventTotals, Slices } from "./dispatcher.ts";
import { privateSegment, Segment } from "./memory/segment.ts";
import { EventProducer } from "./producer.ts";
import { ProducerReader } from "./memory/segment_reader.ts";
import type { Subscriber, SubscriptionLevels } from "./subscriber.ts";
import { nextTurn, type Schedule, unrefTimer } from "../core/timers.ts";

/** Settings of a bus. */
export interface BusOptions {
  /** Default: the system's. */
  readonly clock?: Clock;
  /** Default: a timer that does not hold the process. */
  readonly schedule?: Schedule;
  /** Lets others use the thread. Default: until its timers have run. */
  readonly pause?: () => Promise<void>;
  /** Most individual events of this thread that wait. Default 8192. */
  readonly queueSize?: number;
  /** Different for every bus of a process that has producers on other threads. Default: none has. */
  readonly name?: string;
  /** Default: a BroadcastChannel. */
  readonly open?: OpenNotifier;
  /**
   * Nothing is collected until `begin`, and everything is counted: for subscribers that come after the producers have
   * begun. Default false.
   */
  readonly held?: boolean;
  /** How long an individual event of this thread may wait. Default 10. */
  readonly notifyAfterMs?: number;
  /** How often the collector looks by itself. Default 250. */
  readonly lookMs?: number;
  /** How long dispatching may hold the thread at a time. Default 4. */
  readonly sliceMs?: number;
  /** How long the memory of a producer that is gone is looked at: its thread may not have ended yet. Default 10 000. */
  readonly lingerMs?: number;
  /** Told the first exception of each subscriber. Default: nobody is told. */
  readonly onException?: (name: string, error: unknown) => void;
}

/** The bus's numbers about itself. */
export interface BusStats {
  /** Events published and not dispatched yet. */
  readonly depth: number;
  /** The most that the oldest of them can have waited; 0 if there is none. */
  readonly lagSeconds: number;
  /** Per event type, in the order of the catalogue, over all producers that ever were. */
  readonly events: ReadonlyMap<EventName, EventCounts>;
  readonly subscriberExceptions: ReadonlyMap<string, number>;
}

const DEFAULTS: Required<BusOptions> = {
  clock: systemClock,
  schedule: unrefTimer,
  pause: nextTurn,
  queueSize: 8192,
  name: "events",
  open: openNotifier,
  held: false,
  notifyAfterMs: 10,
  lookMs: 250,
  sliceMs: 4,
  lingerMs: 10_000,
  onException: () => {},
};

/** What producers count while nobody knows yet what subscribers will want. */
const EVERYTHING: SubscriptionLevels = new Map(eventNames.map((name) => [name, "aggregated"]));

/** One producer as its bus knows it. */
interface Source {
  readonly reader: ProducerReader;
  /** Missing for this thread's own. */
  readonly notifier: Notifier | undefined;
  /** Whether a look at its ring is due. */
  isLookDue: boolean;
  cancelForget: () => void;
}

/**
 * The event bus: the subscribers, and the memory of every producer, of this thread (`publish`) and of others. It reads
 * what they have published and asks nobody. Nothing is dispatched inside publish.
 */
export class EventBus {
  /** States a fact of this thread; can be handed on without the bus. */
  readonly publish: Publish<EventMap>;
  readonly #options: Required<BusOptions>;
  readonly #dispatcher: Dispatcher;
  readonly #totals = new EventTotals();
  readonly #slices: Slices;
  readonly #own: EventProducer;
  readonly #sources = new Map<string, Source>();
  /** One look at a time; the others wait for it. */
  #looking: Promise<void> = Promise.resolve();
  #isHeld: boolean;
  #levels: SubscriptionLevels = EVERYTHING;
  #cancelLook: (() => void) | undefined;
  /** Everything that was published before this time has been dispatched. */
  #coveredMs: number;
  #stopped = false;

  constructor(options: BusOptions = {}) {
    this.#options = { ...DEFAULTS, ...options };
    const { clock, schedule, queueSize, notifyAfterMs, onException } = this.#options;
    this.#isHeld = this.#options.held;
    this.#coveredMs = clock.monotonicMs();
    this.#dispatcher = new Dispatcher(onException);
    this.#slices = new Slices(this.#options);
    const segment = new Segment(privateSegment(queueSize));
    const own: Source = {
      reader: new ProducerReader(segment),
      notifier: undefined,
      isLookDue: false,
      cancelForget() {},
    };
    this.#sources.set("main", own);
    this.#own = new EventProducer({
      segment,
      queueSize,
      clock,
      schedule,
      notifyAfterMs,
      notify: () => this.#takeSoon(own),
    });
    this.publish = this.#own.publish;
    this.#dispatcher.onLevels((levels) => {
      if (this.#isHeld) this.#want(EVERYTHING);
      else this.#want(levels);
    });
  }

  /** Ends `held`: the subscribers are complete. */
  begin(): void {
    this.#isHeld = false;
    this.#want(this.#dispatcher.levels());
  }

  /** Adds a subscriber, which hears of everything published from now on; the function returned removes it. */
  subscribe(subscriber: Subscriber): () => void {
    if (this.#cancelLook === undefined && !this.#stopped) this.#lookLater();
    return this.#dispatcher.subscribe(subscriber);
  }

  /** Expects a producer, best before its thread starts. `id`: never used before. `memory`: from allocateSegment. */
  addProducer(id: string, memory: SharedArrayBuffer): void {
    if (this.#sources.has(id)) throw new VitrineError("bad_request", `add a producer: there already: ${id}`);
    const { open, name } = this.#options;
    const reader = new ProducerReader(new Segment(memory));
    reader.want(this.#levels);
    const notifier = open(notifierName(name, id), (written) => {
      if (reader.isBehind(written)) this.#takeSoon(source);
    });
    const source: Source = { reader, notifier, isLookDue: false, cancelForget() {} };
    this.#sources.set(id, source);
  }

  /**
   * Closes the account of a producer whose thread has ended, well or not: all that it had published is dispatched. A
   * runtime may say too soon that a thread has ended, so its memory is looked at for some time more.
   */
  async producerGone(id: string): Promise<void> {
    const { schedule, lingerMs } = this.#options;
    const source = this.#sources.get(id);
    source?.notifier?.close();
    await this.flush();
    if (source !== undefined && !this.#stopped) {
      source.cancelForget = schedule(() => void this.#forget(id, source), lingerMs);
    }
  }

  /** Resolves when everything that was published before has been dispatched. */
  readonly flush: () => Promise<void> = shareRuns(() => this.#serially(() => this.#look()));

  /** Dispatches what waits and shuts the subscribers down; what is published from now on is ignored. */
  async stop(): Promise<void> {
    this.#stopped = true;
    this.#own.stop();
    this.#cancelLook?.();
    await this.flush();
    for (const { notifier, cancelForget } of this.#sources.values()) {
      notifier?.close();
      cancelForget();
    }
    await this.#dispatcher.shutdown();
  }

  /** The numbers when everything that was published before has been dispatched. */
  async settledStats(): Promise<BusStats> {
    await this.flush();
    return this.stats();
  }

  stats(): BusStats {
    const pending = eventNames.map(() => 0);
    for (const { reader } of this.#sources.values()) reader.countPending(pending);
    const depth = pending.reduce((sum, count) => sum + count, 0);
    return {
      depth,
      lagSeconds: depth === 0 ? 0 : Math.max(0, this.#options.clock.monotonicMs() - this.#coveredMs) / 1000,
      events: this.#totals.counts(pending),
      subscriberExceptions: this.#dispatcher.exceptions(),
    };
  }

  #want(levels: SubscriptionLevels): void {
    this.#levels = levels;
    for (const { reader } of this.#sources.values()) reader.want(levels);
  }

  #lookLater(): void {
    const { schedule, lookMs } = this.#options;
    this.#cancelLook = schedule(() => {
      this.#lookLater();
      void this.flush();
    }, lookMs);
  }

  #takeSoon(source: Source): void {
    if (source.isLookDue) return;
    source.isLookDue = true;
    void this.#serially(async () => {
      source.isLookDue = false;
      if (!this.#isHeld) await this.#takeIndividuals(source.reader);
    });
  }

  async #forget(id: string, { reader }: Source): Promise<void> {
    reader.want(new Map());
    await this.flush();
    this.#sources.delete(id);
  }

  #serially(look: () => Promise<void>): Promise<void> {
    // Also after one that failed.
    this.#looking = this.#looking.then(look, look);
    return this.#looking;
  }

  async #look(): Promise<void> {
    if (this.#isHeld) return;
    const { clock } = this.#options;
    const sinceMs = clock.monotonicMs();
    for (const { reader } of [...this.#sources.values()]) {
      await this.#takeIndividuals(reader);
      for (const { type, event, shed } of reader.groups(clock.nowMs())) {
        this.#totals.addGroup(type, event.count, shed);
        this.#dispatcher.dispatch(event);
        if (this.#slices.isOver()) await this.#slices.pause();
      }
    }
    this.#coveredMs = sinceMs;
  }

  async #takeIndividuals(reader: ProducerReader): Promise<void> {
    for (const { type, event } of reader.individuals()) {
      this.#totals.addIndividual(type, event === undefined);
      if (event !== undefined) this.#dispatcher.dispatch(event);
      if (this.#slices.isOver()) await this.#slices.pause();
    }
  }
}
