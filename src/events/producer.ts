import { type Clock, type Schedule, unrefTimer } from "../core/clock.ts";
import type { Publish } from "../core/events.ts";
import { type EventMap, type EventName, eventNames } from "./catalogue.ts";
import { CounterRows, type TypeRows } from "./memory/counter_rows.ts";
import { RingWriter } from "./memory/ring.ts";
import { Segment, WORD } from "./memory/segment.ts";
import { LEVEL } from "./subscriber.ts";

/** Settings of one producer. */
export interface ProducerOptions {
  /** The collector has a view of the same memory. */
  readonly segment: Segment;
  /** Maximum number of individual events in the ring; further events are only counted. */
  readonly queueSize: number;
  readonly clock: Clock;
  readonly schedule: Schedule;
  /** Tells the collector to look; it may not arrive. `written`: the number of individual events so far. */
  readonly notify: (written: number) => void;
  /** Maximum delay of the notification of an individual event. */
  readonly notifyAfterMs: number;
}

/** This many individual events are notified without delay. */
const NOTIFY_AT_ONCE = 1024;

/** A producer's state for one event type. */
interface TypeState {
  /** The type's index in the catalogue. */
  readonly type: number;
  readonly rows: TypeRows;
}

/**
 * The publishing end of the bus, one per thread. Each event becomes visible to the collector in one step, either as a
 * record in the ring (a subscriber wants it individually and there is room) or as a count in a row. So nothing that was
 * published is lost if the thread dies at any instruction.
 */
export class EventProducer {
  readonly #options: ProducerOptions;
  readonly #words: Int32Array;
  readonly #ring: RingWriter;
  /** An object, because Bun reads a property three times as fast as a Map entry. */
  readonly #types: Readonly<Record<EventName, TypeState>>;
  /** Individual events since the last notification. */
  #unannounced = 0;
  #isNotifyDue = false;
  #stopped = false;

  constructor(options: ProducerOptions) {
    const { segment } = options;
    const { types } = new CounterRows(segment);
    this.#options = options;
    this.#words = segment.words;
    this.#ring = new RingWriter(segment, options.queueSize);
    this.#types = typeStates(types);
  }

  /** Publishes an event. A field, so that it can be passed on without its producer. */
  readonly publish: Publish<EventMap> = (name, fields) => {
    const { type, rows } = this.#types[name];
    // A plain read: a change by the collector is seen soon enough.
    const level = this.#words[WORD.wanted + type];
    if (level === LEVEL.none || this.#stopped) return;
    const isWanted = level === LEVEL.individual || (level === LEVEL.traced && isTraced(fields));
    if (!isWanted) return rows.add(fields, false);
    if (this.#ring.push(type, this.#options.clock.nowMs(), fields)) this.#notify();
    else rows.add(fields, true);
  };

  /** Ignores all further events. */
  stop(): void {
    this.#stopped = true;
  }

  #notify(): void {
    const { schedule, notify, notifyAfterMs } = this.#options;
    if (++this.#unannounced >= NOTIFY_AT_ONCE) {
      this.#unannounced = 0;
      return notify(this.#ring.written);
    }
    if (this.#isNotifyDue) return;
    this.#isNotifyDue = true;
    schedule(() => {
      this.#isNotifyDue = false;
      this.#unannounced = 0;
      notify(this.#ring.written);
    }, notifyAfterMs);
  }
}

/** True if the event belongs to a traced request or has the reason for a failure. */
function isTraced(fields: { readonly requestId?: string | undefined; readonly error?: string | undefined }): boolean {
  return fields.requestId !== undefined || fields.error !== undefined;
}

function typeStates(types: readonly TypeRows[]): Readonly<Record<EventName, TypeState>> {
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- there are rows for every type
  return Object.fromEntries(eventNames.map((name, type) => [name, { type, rows: types[type] }])) as Record<
    EventName,
    TypeState
  >;
}

/** A thread's access to the bus of another thread; plain data. */
export interface ProducerSeat {
  /** The bus's name. */
  readonly bus: string;
  /** The producer's name on the bus. */
  readonly id: string;
  /** The producer's segment, from allocateSegment; the bus has it, too. */
  readonly memory: SharedArrayBuffer;
  /** Maximum number of individual events in the ring. */
  readonly queueSize: number;
}

/** Settings of a producer on another thread than the bus. */
export interface ThreadProducerOptions {
  readonly clock: Clock;
  /** Default: a timer that does not keep the process alive. */
  readonly schedule?: Schedule;
  /** Default: a BroadcastChannel. */
  readonly open?: OpenNotifier;
  /** Maximum delay of the notification of an individual event. Default 10. */
  readonly notifyAfterMs?: number;
}

/** A producer on another thread than the bus. */
export interface ThreadProducer {
  readonly publish: Publish<EventMap>;
  /** Ignores all further events. Earlier ones are in memory already, so there is nothing to wait for. */
  stop(): void;
}

/** Publishes to an EventBus of another thread. */
export function openProducer(
  { bus, id, memory, queueSize }: ProducerSeat,
  { clock, schedule = unrefTimer, open = openNotifier, notifyAfterMs = 10 }: ThreadProducerOptions,
): ThreadProducer {
  const notifier = open(notifierName(bus, id));
  const notify = (written: number) => notifier.notify(written);
  const producer = new EventProducer({
    segment: new Segment(memory),
    queueSize,
    clock,
    schedule,
    notifyAfterMs,
    notify,
  });
  return {
    publish: producer.publish,
    stop() {
      producer.stop();
      notifier.close();
    },
  };
}

/** Publishes nothing: for a server without observability. */
export const noPublish: Publish<EventMap> = () => {};

/**
 * One end of a channel on which a producer tells the collector to look into its memory. Messages may be lost, repeated,
 * delayed and reordered.
 */
export interface Notifier {
  /** `written`: the number of individual events that the producer has written so far. */
  notify(written: number): void;
  /** Ends sending and receiving. */
  close(): void;
}

/** Opens this thread's end. The other end opens the same name. */
export type OpenNotifier = (name: string, onNotify?: (written: number) => void) => Notifier;

/** A notifier over a BroadcastChannel, for two threads of one process. */
export const openNotifier: OpenNotifier = (name, onNotify) => {
  const channel = new BroadcastChannel(name);
  if (onNotify !== undefined) {
    channel.addEventListener("message", ({ data }: MessageEvent<unknown>) => {
      if (typeof data === "number") onNotify(data);
    });
  }
  return {
    notify(written) {
      try {
        channel.postMessage(written);
      } catch {
        // The channel is closed, or never worked, which happens on Deno. The collector also looks at an interval.
      }
    },
    close: () => channel.close(),
  };
};

/** The channel of one producer. `server`: unique among the servers of a process. */
export function notifierName(server: string, producer: string): string {
  return `${server}/${producer}`;
}
