import { VitrineError } from "../../core/errors.ts";
import type { Schedule } from "../../core/clock.ts";
import { type EventName, eventNames } from "../catalogue.ts";
import type { Handler, Subscriber } from "../subscriber.ts";
import { type LiveItem, LiveListener, type LiveRecord, type WantedEvents } from "./live_listener.ts";

/** Limits of a feed, documented in docs/HTTP.md. */
export interface LiveLimits {
  /** Maximum number of listeners. */
  readonly listeners: number;
  /** Maximum number of records queued for a listener. */
  readonly queue: number;
  /** Number of recent records kept for listeners that reconnect. */
  readonly recent: number;
  /** Time for which records are kept, and still made, after a listener leaves. */
  readonly lingerMs: number;
}

/** The limits of a server. */
export const LIVE_LIMITS: LiveLimits = { listeners: 16, queue: 1024, recent: 4096, lingerMs: 10_000 };

/** The part of an EventBus that a feed needs. */
export interface LiveSource {
  subscribe(subscriber: Subscriber): () => void;
}

/** Settings of a feed. */
export interface LiveFeedOptions {
  readonly source: LiveSource;
  readonly schedule: Schedule;
  /** Identifies this feed in the ids of its records; letters and digits. */
  readonly nonce: string;
  /** Default: LIVE_LIMITS. */
  readonly limits?: LiveLimits;
}

/** Passes events to the current listeners. Without listeners it is not subscribed and keeps nothing. */
export class LiveFeed {
  readonly #options: LiveFeedOptions;
  readonly #limits: LiveLimits;
  readonly #recent: RecentRecords;
  readonly #listeners = new Set<LiveListener>();
  /** Types of listeners that left a short time ago. */
  #lingering: ReadonlySet<EventName> = new Set();
  #endLingering = () => {};
  /** The subscribed types, each with the sequence number from which on all of its events are recorded. */
  #coveredFrom: ReadonlyMap<EventName, number> = new Map();
  /** The types that have been subscribed at any time. */
  readonly #known = new Set<EventName>();
  #unsubscribe = () => {};
  #sequence = 0;
  #closed = false;

  constructor(options: LiveFeedOptions) {
    this.#options = options;
    this.#limits = options.limits ?? LIVE_LIMITS;
    this.#recent = new RecentRecords(this.#limits.recent);
  }

  /** The number of listeners. */
  get listeners(): number {
    return this.#listeners.size;
  }

  /** The id of a sequence number, for a client that reconnects. */
  idOf(sequence: number): string {
    return `${this.#options.nonce}-${sequence}`;
  }

  /** Adds a listener. Throws VitrineError: too_many_listeners, or shutting_down once the feed is closed. */
  listen(wanted: Omit<WantedEvents, "format">): LiveListener {
    if (this.#closed) throw new VitrineError("shutting_down", "open event stream: the server is shutting down");
    const { listeners: limit, queue: queueLimit } = this.#limits;
    if (this.#listeners.size >= limit) {
      throw new VitrineError("too_many_listeners", `open event stream: ${limit} are open, and no more may be`, {
        details: { limit },
      });
    }
    const backlog = wanted.lastEventId === undefined ? [] : this.#since(wanted.lastEventId, wanted.types);
    const listener: LiveListener = new LiveListener({
      wanted,
      queueLimit,
      backlog,
      onLeave: () => this.#left(listener),
    });
    this.#listeners.add(listener);
    this.#resubscribe();
    return listener;
  }

  /** Ends all listeners, unsubscribes, and refuses further listeners. */
  close(): void {
    this.#closed = true;
    for (const listener of this.#listeners) listener.end();
    this.#listeners.clear();
    this.#stopLingering();
  }

  /** The items after an id. */
  #since(id: string, types: readonly EventName[]): readonly LiveItem[] {
    const place = this.#placeOf(id);
    if (place === undefined) return [{ sequence: this.#sequence, lost: undefined }];
    const kept = this.#recent.after(place);
    const keptFrom = this.#sequence - kept.length;
    const records = kept.filter((each) => "event" in each);
    const isWhole = keptFrom === place &&
      types.every((type) => (this.#coveredFrom.get(type) ?? Infinity) <= place + 1);
    return isWhole ? records : [{ sequence: keptFrom, lost: undefined }, ...records];
  }

  #placeOf(id: string): number | undefined {
    const [nonce, digits = ""] = id.split("-", 2);
    if (nonce !== this.#options.nonce || !/^\d{1,15}$/.test(digits)) return undefined;
    const place = Number(digits);
    return place <= this.#sequence ? place : undefined;
  }

  #left(listener: LiveListener): void {
    this.#listeners.delete(listener);
    this.#lingering = new Set([...this.#lingering, ...listener.types]);
    this.#endLingering();
    this.#endLingering = this.#options.schedule(() => this.#stopLingering(), this.#limits.lingerMs);
  }

  #stopLingering(): void {
    this.#endLingering();
    this.#lingering = new Set();
    this.#resubscribe();
  }

  /**
   * Subscribes to the types that are wanted now. A subscription cannot be changed, so a new one replaces it; nothing is
   * dispatched in between.
   */
  #resubscribe(): void {
    const { source } = this.#options;
    const holders = [this.#lingering, ...Array.from(this.#listeners, ({ types }) => types)];
    const wanted = eventNames.filter((name) => holders.some((types) => types.has(name)));
    const before = this.#coveredFrom;
    if (wanted.length === before.size && wanted.every((name) => before.has(name))) return;
    // Otherwise the id of a listener that left before the gap would also be valid after it.
    const isGap = wanted.some((name) => !before.has(name) && this.#known.has(name));
    if (isGap) this.#recent.add({ sequence: ++this.#sequence });
    for (const name of wanted) this.#known.add(name);
    this.#coveredFrom = new Map(wanted.map((name) => [name, before.get(name) ?? this.#sequence + 1]));
    const unsubscribe = this.#unsubscribe;
    this.#unsubscribe = wanted.length === 0 ? () => {} : source.subscribe(this.#subscriber(wanted));
    unsubscribe();
    if (wanted.length === 0) this.#recent.clear();
  }

  #subscriber(wanted: readonly EventName[]): Subscriber {
    const record: Handler<EventName> = (event) => {
      const made = { sequence: ++this.#sequence, event };
      this.#recent.add(made);
      for (const listener of this.#listeners) listener.offer(made);
    };
    return {
      name: "live",
      subscriptions: Object.fromEntries(wanted.map((name) => [name, record])),
      individual: wanted,
    };
  }
}

/** A number in the sequence that is of no record: the events of some types were not recorded before it. */
type Gap = Pick<LiveRecord, "sequence">;

/** The most recent records and gaps. */
class RecentRecords {
  readonly #limit: number;
  /** Index = sequence modulo limit. */
  #records: (LiveRecord | Gap)[] = [];
  #last = 0;

  constructor(limit: number) {
    this.#limit = limit;
  }

  /** Adds the next one in sequence, in place of the oldest. */
  add(record: LiveRecord | Gap): void {
    this.#records[record.sequence % this.#limit] = record;
    this.#last = record.sequence;
  }

  /** Those after a sequence number, oldest first. */
  after(sequence: number): readonly (LiveRecord | Gap)[] {
    const found: (LiveRecord | Gap)[] = [];
    for (let place = Math.max(sequence + 1, this.#last - this.#limit + 1); place <= this.#last; place++) {
      const record = this.#records[place % this.#limit];
      if (record?.sequence === place) found.push(record);
    }
    return found;
  }

  /** Removes all records. */
  clear(): void {
    this.#records = [];
  }
}
