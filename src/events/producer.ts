import type { Clock } from "../core/clock.ts";
import type { Publish } from "../core/publish.ts";
import type { EventMap, EventName } from "./catalogue.ts";
import type { CounterRow } from "./ledger/counter_row.ts";
import type { Delivered } from "./delivered.ts";
import { Fold } from "./fold.ts";
import { eventNames, schemaOf } from "./schema.ts";
import type { Interest } from "./subscriber.ts";
import type { Schedule } from "./timer.ts";
import type { Batch, HandedOver, Single, Transport } from "./transport.ts";

/** Settings of one producer. */
export interface ProducerOptions {
  readonly clock: Clock;
  /** Where it counts. */
  readonly row: CounterRow;
  /** Most single events that wait; more are folded, which sheds their details and never their counts. */
  readonly queueSize: number;
  /** Most single events, and most groups, of one batch. A full batch leaves at once. */
  readonly batchSize: number;
  /** How long a single event may wait before it is on its way. */
  readonly flushIntervalMs: number;
  /**
   * The same for folded ones: nobody waits for them, and a batch costs both threads the same however much was folded
   * into it.
   */
  readonly foldIntervalMs: number;
  readonly schedule: Schedule;
}

/** One event type's side of a producer. */
interface Lane {
  readonly name: EventName;
  /** Its place in the catalogue. */
  readonly type: number;
  readonly fold: Fold;
  detail: boolean;
  followed: boolean;
  published: number;
  shed: number;
  handedOver: number;
}

type Heard = { readonly [Name in EventName]?: Lane };

/** Single events that leave together, and when the oldest was published. */
interface SingleBatch {
  readonly singles: readonly Single[];
  readonly sinceMs: number;
}

/** Something that waits until all that was published before it is with the transport. */
interface Mark {
  readonly queued: number;
  readonly folded: number;
  readonly reached: () => void;
}

/**
 * The publishing end of the bus, one per thread. An event is either queued with its time stamp and details (someone
 * wants them and the queue has room) or folded into exact totals on the spot; a timer takes both to the transport.
 * Until it knows who wants what it folds everything.
 */
export class EventProducer {
  readonly #transport: Transport;
  readonly #options: ProducerOptions;
  readonly #lanes: readonly Lane[] = eventNames.map((name, type) => ({
    name,
    type,
    fold: new Fold(schemaOf(name)),
    detail: false,
    followed: false,
    published: 0,
    shed: 0,
    handedOver: 0,
  }));
  readonly #byName: Heard = lanesByName(this.#lanes);
  /** Lanes somebody listens to, or may. An object, because Bun finds a property three times as fast as a Map entry. */
  #heard = this.#byName;
  #informed = false;
  /** Singles that wait: batches that are full, oldest first, and the one that is being filled. */
  readonly #fullBatches: SingleBatch[] = [];
  #singles: Single[] = [];
  /** When the oldest of `#singles` was published. */
  #singlesSinceMs = 0;
  #groups: readonly Delivered<EventName>[] = [];
  /**
   * When the oldest event in the folds was published, and in `#groups`; all these in monotonic milliseconds, as how
   * long they wait must not depend on wall time.
   */
  #foldedSinceMs: number | undefined;
  #groupsSinceMs: number | undefined;
  /**
   * Events since the beginning: queued and taken out of the queue; folded, taken out of the folds, and sent as groups.
   */
  readonly #totals = { queued: 0, taken: 0, folded: 0, drained: 0, sent: 0 };
  /** Whether something waits and a timer or the transport will see to it. */
  #awake = false;
  /** Whether it waits for room. */
  #blocked = false;
  /** Whether what waits will be seen to soon enough for single events. */
  #hurried = false;
  #timer: { readonly delayMs: number; readonly cancel: () => void } | undefined;
  #marks: readonly Mark[] = [];
  #stopped = false;

  constructor(transport: Transport, options: ProducerOptions) {
    this.#transport = transport;
    this.#options = options;
    transport.onProgress(() => this.#onProgress());
    transport.onInterest((interest) => this.#listen(interest));
  }

  /**
   * States a fact: see Publish. `fields` must not be changed afterwards. A field of its own, so that it can be handed
   * on without its producer.
   */
  readonly publish: Publish<EventMap> = (name, fields) => {
    const lane = this.#heard[name];
    if (lane === undefined) return;
    lane.published++;
    const { row, clock, queueSize, batchSize } = this.#options;
    if (this.#informed) row.setPublished(lane.type, lane.published);
    else row.setUndecided(lane.type, lane.published);
    if (lane.detail || (lane.followed && isFollowed(fields))) {
      const totals = this.#totals;
      if (totals.queued - totals.taken < queueSize) {
        totals.queued++;
        if (this.#singles.length === 0) this.#singlesSinceMs = clock.monotonicMs();
        if (this.#singles.push({ name, timeMs: clock.nowMs(), fields }) >= batchSize) this.#closeBatch();
        else if (!this.#hurried) this.#wake(this.#singlesSinceMs, this.#options.flushIntervalMs);
        return;
      }
      row.setShed(lane.type, ++lane.shed);
    }
    if (this.#foldedSinceMs === undefined) {
      this.#foldedSinceMs = clock.monotonicMs();
      if (!this.#awake) this.#wake(this.#foldedSinceMs, this.#options.foldIntervalMs);
    }
    this.#totals.folded++;
    lane.fold.add(fields);
  };

  /** Resolves when everything published so far is with the transport. */
  drained(): Promise<void> {
    const { queued, folded } = this.#totals;
    return new Promise((reached) => {
      this.#marks = [...this.#marks, { queued, folded, reached }];
      this.#drain();
    });
  }

  /** Resolves when everything published so far has been dispatched. */
  async flush(): Promise<void> {
    await this.drained();
    await this.#transport.flush();
  }

  /** Flushes; what is published from now on is ignored. */
  stop(): Promise<void> {
    this.#stopped = true;
    this.#heard = {};
    this.#timer?.cancel();
    return this.flush();
  }

  #listen(interest: Interest): void {
    if (!this.#informed) this.#decide(interest);
    if (this.#stopped) return;
    for (const lane of this.#lanes) {
      const closeness = interest.get(lane.name);
      lane.detail = closeness === "detail";
      lane.followed = closeness === "followed";
    }
    this.#heard = lanesByName(this.#lanes.filter(({ name }) => interest.has(name)));
    if (this.#awake) this.#wakeForAll();
  }

  /** Counts what was folded until now for those who turn out to want it, and drops the rest. */
  #decide(interest: Interest): void {
    const { row } = this.#options;
    this.#informed = true;
    for (const lane of this.#lanes) {
      if (interest.has(lane.name)) {
        if (interest.get(lane.name) === "detail") lane.shed = lane.published;
        row.setPublished(lane.type, lane.published);
        row.setShed(lane.type, lane.shed);
      } else {
        lane.fold.drain(0);
        lane.published = 0;
      }
      row.setUndecided(lane.type, 0);
    }
  }

  #wake(sinceMs: number, delayMs: number): void {
    if (!this.#awake) this.#options.row.setOldest(this.#transport.oldestMs() ?? sinceMs);
    this.#awake = true;
    this.#wakeIn(delayMs);
  }

  #wakeForAll(): void {
    const { flushIntervalMs, foldIntervalMs } = this.#options;
    this.#wakeIn(this.#totals.taken < this.#totals.queued ? flushIntervalMs : foldIntervalMs);
  }

  /** A timer that was set for sooner stays. */
  #wakeIn(delayMs: number): void {
    this.#hurried = delayMs <= this.#options.flushIntervalMs;
    if (this.#timer !== undefined && this.#timer.delayMs <= delayMs) return;
    this.#timer?.cancel();
    const cancel = this.#options.schedule(() => {
      this.#timer = undefined;
      this.#drain();
    }, delayMs);
    this.#timer = { delayMs, cancel };
  }

  /**
   * Only what had to wait for room goes on at once: the rest has its timer, or every acknowledgement would call for the
   * next batch.
   */
  #onProgress(): void {
    if (this.#blocked) this.#drain();
    else this.#tellOldest();
  }

  #tellOldest(): void {
    this.#options.row.setOldest(this.#transport.oldestMs() ?? this.#oldestMs());
  }

  /** Sends what waits now, while there is room; what subscribers publish meanwhile waits for its own turn. */
  #drain(): void {
    if (!this.#informed) return;
    const { queued, folded } = this.#totals;
    while (this.#isWaiting(queued, folded) && this.#transport.room() > 0) this.#sendOne();
    this.#awake = this.#isWaiting(this.#totals.queued, this.#totals.folded);
    this.#blocked = this.#awake && this.#transport.room() === 0;
    this.#hurried = this.#blocked;
    if (this.#awake && !this.#blocked) this.#wakeForAll();
    this.#tellOldest();
    const reached = this.#marks.filter(({ queued, folded }) => !this.#isWaiting(queued, folded));
    if (reached.length === 0) return;
    this.#marks = this.#marks.filter((mark) => !reached.includes(mark));
    for (const mark of reached) mark.reached();
  }

  /** Whether some of the first so many events are still here. */
  #isWaiting(queued: number, folded: number): boolean {
    return this.#totals.taken < queued || this.#totals.sent < folded;
  }

  #oldestMs(): number | undefined {
    const singlesSinceMs = this.#fullBatches[0]?.sinceMs ??
      (this.#singles.length > 0 ? this.#singlesSinceMs : undefined);
    const times = [singlesSinceMs, this.#groupsSinceMs, this.#foldedSinceMs];
    return times.reduce((oldest, sinceMs) => oldest === undefined || (sinceMs ?? Infinity) < oldest ? sinceMs : oldest);
  }

  #sendOne(): void {
    const { batchSize, clock } = this.#options;
    const sinceMs = this.#oldestMs() ?? clock.monotonicMs();
    const singles = this.#takeSingles();
    const groups = this.#takeGroups(batchSize);
    if (singles.length + groups.length === 0) return;
    for (const { name } of singles) this.#handOver(name, 1);
    for (const { name, count } of groups) this.#handOver(name, count);
    this.#transport.send({ singles, groups, counts: this.#counts(), sinceMs });
  }

  #closeBatch(): void {
    this.#fullBatches.push({ singles: this.#singles, sinceMs: this.#singlesSinceMs });
    this.#singles = [];
    this.#wakeIn(0);
  }

  #takeSingles(): readonly Single[] {
    let singles = this.#fullBatches.shift()?.singles;
    if (singles === undefined) {
      singles = this.#singles;
      this.#singles = [];
    }
    this.#totals.taken += singles.length;
    return singles;
  }

  #takeGroups(most: number): readonly Delivered<EventName>[] {
    const totals = this.#totals;
    if (this.#groups.length === 0) {
      const timeMs = this.#options.clock.nowMs();
      this.#groups = this.#lanes.flatMap(({ fold }) => fold.drain(timeMs));
      this.#groupsSinceMs = this.#foldedSinceMs;
      this.#foldedSinceMs = undefined;
      totals.drained = totals.folded;
    }
    const groups = this.#groups.slice(0, most);
    this.#groups = this.#groups.slice(most);
    if (this.#groups.length === 0) {
      this.#groupsSinceMs = undefined;
      totals.sent = totals.drained;
    }
    return groups;
  }

  #counts(): Batch["counts"] {
    const counts = new Map<EventName, HandedOver>();
    for (const { name, handedOver, shed } of this.#lanes) {
      if (handedOver > 0) counts.set(name, { published: handedOver, shed });
    }
    return counts;
  }

  #handOver(name: EventName, count: number): void {
    const lane = this.#byName[name];
    if (lane !== undefined) lane.handedOver += count;
  }
}

/** Whether it belongs to a followed request, or says why something failed. */
function isFollowed(fields: { readonly requestId?: string | undefined; readonly error?: string | undefined }): boolean {
  return fields.requestId !== undefined || fields.error !== undefined;
}

function lanesByName(lanes: readonly Lane[]): Heard {
  const heard: { [Name in EventName]?: Lane } = {};
  for (const lane of lanes) heard[lane.name] = lane;
  return heard;
}
