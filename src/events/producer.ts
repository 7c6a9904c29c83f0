import type { Clock } from "../core/clock.ts";
import type { Publish } from "../core/publish.ts";
import { type EventMap, type EventName, eventNames } from "./catalogue.ts";
import { CounterRows, type TypeRows } from "./memory/counter_rows.ts";
import { RingWriter } from "./memory/ring.ts";
import { Segment, WORD } from "./memory/segment.ts";
import { LEVEL } from "./subscriber.ts";
import { type Schedule, unrefTimer } from "../core/timers.ts";
import { notifierName, type OpenNotifier, openNotifier } from "./notifier.ts";

/** Settings of one producer. */
export interface ProducerOptions {
  /** Whoever collects has the same memory. */
  readonly segment: Segment;
  /** Most individual events that wait; more are only counted. */
  readonly queueSize: number;
  readonly clock: Clock;
  readonly schedule: Schedule;
  /** Tells the collector to look; `written`: how many individual events there were so far. May be in vain. */
  readonly notify: (written: number) => void;
  /** How long an individual event may wait before the collector is told to look. */
  readonly notifyAfterMs: number;
}

/** So many individual events are not kept waiting. */
const NOTIFY_AT_ONCE = 1024;

/** One event type's side of a producer. */
interface Lane {
  /** Its place in the catalogue. */
  readonly type: number;
  readonly rows: TypeRows;
}

/**
 * The publishing end of the bus, one per thread. Each event becomes visible to the collector in one step, as a record
 * in the ring (somebody wants it one by one and there is room) or as a count in a row; so a thread that dies at any
 * instruction takes nothing along that it had published.
 */
export class EventProducer {
  readonly #options: ProducerOptions;
  readonly #words: Int32Array;
  readonly #ring: RingWriter;
  /** An object, because Bun finds a property three times as fast as a Map entry. */
  readonly #lanes: Readonly<Record<EventName, Lane>>;
  /** Individual events since the collector was told last, and whether a timer will tell it. */
  #unannounced = 0;
  #isNotifyDue = false;
  #stopped = false;

  constructor(options: ProducerOptions) {
    const { segment } = options;
    const { types } = new CounterRows(segment);
    this.#options = options;
    this.#words = segment.words;
    this.#ring = new RingWriter(segment, options.queueSize);
    this.#lanes = lanesOf(types);
  }

  /**
   * States a fact: see Publish. A field of its own, so that it can be handed on without its producer.
   */
  readonly publish: Publish<EventMap> = (name, fields) => {
    const { type, rows } = this.#lanes[name];
    // A plain read: whatever the collector has written is seen soon enough.
    const level = this.#words[WORD.wanted + type];
    if (level === LEVEL.none || this.#stopped) return;
    const isWanted = level === LEVEL.individual || (level === LEVEL.traced && isTraced(fields));
    if (!isWanted) return rows.add(fields, false);
    if (this.#ring.push(type, this.#options.clock.nowMs(), fields)) this.#notify();
    else rows.add(fields, true);
  };

  /** What is published from now on is ignored. */
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

/** Whether it belongs to a followed request, or says why something failed. */
function isTraced(fields: { readonly requestId?: string | undefined; readonly error?: string | undefined }): boolean {
  return fields.requestId !== undefined || fields.error !== undefined;
}

function lanesOf(types: readonly TypeRows[]): Readonly<Record<EventName, Lane>> {
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- there are rows for every type
  return Object.fromEntries(eventNames.map((name, type) => [name, { type, rows: types[type] }])) as Record<
    EventName,
    Lane
  >;
}

/** What a thread needs to publish to the bus of another one; plain data. */
export interface ProducerSeat {
  /** The bus's name. */
  readonly bus: string;
  /** The name under which the bus expects this producer. */
  readonly id: string;
  /** From allocateSegment, the same that the bus was given. */
  readonly memory: SharedArrayBuffer;
  /** Most individual events that wait. */
  readonly queueSize: number;
}

/** Settings of a producer on a thread of its own. */
export interface ThreadProducerOptions {
  readonly clock: Clock;
  /** Default: a timer that does not hold the process. */
  readonly schedule?: Schedule;
  /** Default: a BroadcastChannel. */
  readonly open?: OpenNotifier;
  /** How long an individual event may wait before the bus is told to look. Default 10. */
  readonly notifyAfterMs?: number;
}

/** A thread's end of a bus that collects on another one. */
export interface ThreadProducer {
  readonly publish: Publish<EventMap>;
  /** What is published from now on is ignored. What was published before lies in memory: nobody need wait for it. */
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

/** The publish of a server without observability. */
export const noPublish: Publish<EventMap> = () => {};
