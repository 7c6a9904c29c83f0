import { type Clock, nextTurn, type Schedule, systemClock, unrefTimer } from "../core/clock.ts";
import { shareRuns } from "../core/coalesce.ts";
import { VitrineError } from "../core/errors.ts";
import type { Publish } from "../core/events.ts";
import { type EventMap, type EventName, eventNames } from "./catalogue.ts";
import { Dispatcher, type EventCounts, EventTotals, Slices } from "./dispatcher.ts";
import { privateSegment, Segment } from "./memory/segment.ts";
import { SegmentReader } from "./memory/segment_reader.ts";
import { EventProducer, type Notifier, notifierName, type OpenNotifier, openNotifier } from "./producer.ts";
import type { Subscriber, SubscriptionLevels } from "./subscriber.ts";

/** Settings of a bus. */
export interface BusOptions {
  /** Default: the system's. */
  readonly clock?: Clock;
  /** Default: a timer that does not keep the process alive. */
  readonly schedule?: Schedule;
  /** Yields the thread. Default: until its pending timers have run. */
  readonly pause?: () => Promise<void>;
  /** Maximum number of this thread's individual events in the ring. Default 8192. */
  readonly queueSize?: number;
  /** Unique among the buses of a process with producers on other threads. Default: there are none. */
  readonly name?: string;
  /** Default: a BroadcastChannel. */
  readonly open?: OpenNotifier;
  /**
   * Counts all events and dispatches none until `begin`, for subscribers that are added after the producers have
   * started. Default false.
   */
  readonly held?: boolean;
  /** Maximum delay of an individual event of this thread. Default 10. */
  readonly notifyAfterMs?: number;
  /** Interval at which the bus looks without a notification. Default 250. */
  readonly lookMs?: number;
  /** Maximum time for which dispatching holds the thread. Default 4. */
  readonly sliceMs?: number;
  /**
   * Time for which the memory of a producer that is gone is still read: its thread may not have ended yet. Default 10
   * 000.
   */
  readonly lingerMs?: number;
  /** Called with the first exception of each subscriber. Default: none. */
  readonly onException?: (name: string, error: unknown) => void;
}

/** The bus's own metrics. */
export interface BusStats {
  /** Events published and not yet dispatched. */
  readonly depth: number;
  /** Upper bound on the age of the oldest of them; 0 if there is none. */
  readonly lagSeconds: number;
  /** By event type, in the order of the catalogue, over all producers so far. */
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

/** The levels before the subscribers are known. */
const EVERYTHING: SubscriptionLevels = new Map(eventNames.map((name) => [name, "aggregated"]));

/** A producer, as seen by the bus. */
interface Source {
  readonly reader: SegmentReader;
  /** Undefined for this thread's own producer. */
  readonly notifier: Notifier | undefined;
  /** True if a look at its ring is scheduled. */
  isLookDue: boolean;
  cancelForget: () => void;
}

/**
 * The event bus: reads the memory of all producers, of this thread (`publish`) and of others, and dispatches their
 * events to the subscribers. It waits for no other thread, and publish never dispatches.
 */
export class EventBus {
  /** Publishes an event of this thread; can be passed on without the bus. */
  readonly publish: Publish<EventMap>;
  readonly #options: Required<BusOptions>;
  readonly #dispatcher: Dispatcher;
  readonly #totals = new EventTotals();
  readonly #slices: Slices;
  readonly #own: EventProducer;
  readonly #sources = new Map<string, Source>();
  /** The look in progress; looks run one at a time. */
  #looking: Promise<void> = Promise.resolve();
  #isHeld: boolean;
  #levels: SubscriptionLevels = EVERYTHING;
  #cancelLook: (() => void) | undefined;
  /** Everything published before this time has been dispatched. */
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
      reader: new SegmentReader(segment),
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

  /** Ends `held`: all subscribers have been added. */
  begin(): void {
    this.#isHeld = false;
    this.#want(this.#dispatcher.levels());
  }

  /** Adds a subscriber to everything published from now on. The returned function removes it. */
  subscribe(subscriber: Subscriber): () => void {
    if (this.#cancelLook === undefined && !this.#stopped) this.#lookLater();
    return this.#dispatcher.subscribe(subscriber);
  }

  /** Adds a producer, best before its thread starts. `id`: unused so far. `memory`: from allocateSegment. */
  addProducer(id: string, memory: SharedArrayBuffer): void {
    if (this.#sources.has(id)) throw new VitrineError("bad_request", `add producer: it exists already: ${id}`);
    const { open, name } = this.#options;
    const reader = new SegmentReader(new Segment(memory));
    reader.subscribe(this.#levels);
    const notifier = open(notifierName(name, id), (written) => {
      if (reader.isBehind(written)) this.#takeSoon(source);
    });
    const source: Source = { reader, notifier, isLookDue: false, cancelForget() {} };
    this.#sources.set(id, source);
  }

  /**
   * Removes a producer whose thread has ended in any way, after dispatching everything that it published. A runtime may
   * report the end of a thread too early, so the memory is read for some more time.
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

  /** Resolves when everything published before the call has been dispatched. */
  readonly flush: () => Promise<void> = shareRuns(() => this.#serially(() => this.#look()));

  /** Dispatches pending events, shuts the subscribers down and ignores all further events. */
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

  /** The stats once everything published before the call has been dispatched. */
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
    for (const { reader } of this.#sources.values()) reader.subscribe(levels);
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
    reader.subscribe(new Map());
    await this.flush();
    this.#sources.delete(id);
  }

  #serially(look: () => Promise<void>): Promise<void> {
    // Continues even if the previous look failed.
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

  async #takeIndividuals(reader: SegmentReader): Promise<void> {
    for (const { type, event } of reader.individuals()) {
      this.#totals.addIndividual(type, event === undefined);
      if (event !== undefined) this.#dispatcher.dispatch(event);
      if (this.#slices.isOver()) await this.#slices.pause();
    }
  }
}
