import type { Clock } from "../core/clock.ts";
import type { Publish } from "../core/publish.ts";
import type { EventMap, EventName } from "./catalogue.ts";
import { deliver, type Delivered } from "./delivered.ts";
import { Fold } from "./fold.ts";
import { eventNames, type FieldValues, schemaOf } from "./schema.ts";
import type { Interest } from "./subscriber.ts";
import type { Schedule } from "./timer.ts";
import type { Transport } from "./transport.ts";

/** Settings of one producer. */
export interface ProducerOptions {
  readonly clock: Clock;
  /** Its name, unique among the producers of one collector. */
  readonly producer: string;
  /** Most single events that wait; more are folded, which sheds their details and never their counts. */
  readonly queueSize: number;
  /** How long an event may wait before it is on its way. */
  readonly flushIntervalMs: number;
  readonly schedule: Schedule;
}

/** What a producer still holds. */
export interface Pending {
  /** Single events plus groups. */
  readonly depth: number;
  /** Age of the oldest of them; 0 if there is none. */
  readonly lagSeconds: number;
}

/** One event type's side of a producer. */
interface Lane {
  readonly name: EventName;
  readonly fold: Fold;
  detail: boolean;
  published: number;
  shed: number;
}

type Heard = { readonly [Name in EventName]?: Lane };

interface Single {
  readonly name: EventName;
  readonly timeMs: number;
  readonly fields: FieldValues;
}

/**
 * The publishing end of the bus, one per thread. An event is either queued with its time stamp and details (someone wants them and
 * the queue has room) or folded into exact totals on the spot; a timer takes both to the transport.
 */
export class EventProducer {
  readonly #transport: Transport;
  readonly #options: ProducerOptions;
  readonly #lanes: readonly Lane[] = eventNames.map((name) => ({
    name,
    fold: new Fold(schemaOf(name)),
    detail: false,
    published: 0,
    shed: 0,
  }));
  /** Lanes somebody listens to. An object, because Bun finds a property three times as fast as a Map entry. */
  #heard: Heard = {};
  #singles: Single[] = [];
  /** When the oldest of what waits was published. */
  #sinceMs: number | undefined;
  #cancelTimer: (() => void) | undefined;
  #stopped = false;

  constructor(transport: Transport, options: ProducerOptions) {
    this.#transport = transport;
    this.#options = options;
    transport.onInterest((interest) => this.#listen(interest));
  }

  /** States a fact: see Publish. `fields` must not be changed afterwards. A field of its own, so that it can be handed on without its producer. */
  readonly publish: Publish<EventMap> = (name, fields) => {
    const lane = this.#heard[name];
    if (lane === undefined) return;
    lane.published++;
    if (this.#sinceMs === undefined) this.#wake();
    if (lane.detail) {
      if (this.#singles.length < this.#options.queueSize) {
        this.#singles.push({ name, timeMs: this.#options.clock.nowMs(), fields });
        return;
      }
      lane.shed++;
    }
    lane.fold.add(fields);
  };

  /** Resolves when everything published so far has been dispatched. */
  flush(): Promise<void> {
    this.#drain();
    return this.#transport.flush();
  }

  /** Flushes; what is published from now on is ignored. */
  stop(): Promise<void> {
    this.#stopped = true;
    this.#heard = {};
    this.#cancelTimer?.();
    return this.flush();
  }

  /** What waits for the next drain. */
  pending(): Pending {
    const groups = this.#lanes.reduce((sum, lane) => sum + lane.fold.size, 0);
    const sinceMs = this.#sinceMs;
    return {
      depth: this.#singles.length + groups,
      lagSeconds: sinceMs === undefined ? 0 : Math.max(0, this.#options.clock.nowMs() - sinceMs) / 1000,
    };
  }

  #listen(interest: Interest): void {
    if (this.#stopped) return;
    for (const lane of this.#lanes) lane.detail = interest.get(lane.name) === "detail";
    const heard: { [Name in EventName]?: Lane } = {};
    for (const lane of this.#lanes) if (interest.has(lane.name)) heard[lane.name] = lane;
    this.#heard = heard;
  }

  #wake(): void {
    this.#sinceMs = this.#options.clock.nowMs();
    this.#cancelTimer ??= this.#options.schedule(() => {
      this.#cancelTimer = undefined;
      this.#drain();
    }, this.#options.flushIntervalMs);
  }

  #drain(): void {
    if (this.#sinceMs === undefined) return;
    this.#sinceMs = undefined;
    const timeMs = this.#options.clock.nowMs();
    const singles = this.#singles.map(({ name, timeMs, fields }) =>
      deliver({ name, timeMs, count: 1, folded: false }, fields)
    );
    this.#singles = [];
    const groups: Delivered<EventName>[] = [];
    for (const lane of this.#lanes) groups.push(...lane.fold.drain(timeMs));
    const counts = new Map(this.#lanes.map(({ name, published, shed }) => [name, { published, shed }]));
    this.#transport.send({ producer: this.#options.producer, singles, groups, counts });
  }
}
