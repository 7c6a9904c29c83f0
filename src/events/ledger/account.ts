import type { EventName } from "../catalogue.ts";
import type { CounterRow } from "./counter_row.ts";
import { eventNames } from "../schema.ts";
import type { Arrival } from "../transport.ts";

/** What became of the events of one type: published = delivered + rolledUp + lost, whenever it is asked. */
export interface EventCounts {
  /** As far as the producers' batches have told, plus all that a dead producer had published. */
  readonly published: number;
  /** One by one, with details. */
  readonly delivered: number;
  /** As part of a group. */
  readonly rolledUp: number;
  /** Published and never arrived. */
  readonly lost: number;
  /** Rolled up although someone wanted details: the queue was full, or the producer did not know yet. */
  readonly shed: number;
  /** Published and on their way: not yet part of `published`. */
  readonly pending: number;
}

const NONE: EventCounts = { published: 0, delivered: 0, rolledUp: 0, lost: 0, shed: 0, pending: 0 };

/** One producer's events as the collector knows them. */
export class Account {
  readonly row: CounterRow;
  readonly #told = new Map<EventName, { published: number; shed: number }>();
  readonly #delivered = new Map<EventName, number>();
  readonly #rolledUp = new Map<EventName, number>();

  constructor(row: CounterRow) {
    this.row = row;
  }

  /** Enters a batch all of whose events were dispatched. */
  enter({ singles, groups, counts }: Arrival): void {
    for (const { name } of singles) add(this.#delivered, name, 1);
    for (const { name, count } of groups) add(this.#rolledUp, name, count);
    for (const [name, told] of counts) this.#told.set(name, told);
  }

  counts(name: EventName): EventCounts {
    const { published, shed } = this.#told.get(name) ?? NONE;
    const delivered = this.#delivered.get(name) ?? 0;
    const rolledUp = this.#rolledUp.get(name) ?? 0;
    const pending = since(this.row.published(eventNames.indexOf(name)), published);
    return { published, delivered, rolledUp, lost: published - delivered - rolledUp, shed, pending };
  }

  /** Events of all types that were published and have not been told of. */
  pending(): number {
    return eventNames.reduce((sum, name) => sum + this.counts(name).pending, 0);
  }

  /** Whether nothing is on its way. */
  get settled(): boolean {
    return this.pending() === 0 && eventNames.every((_, type) => this.row.undecided(type) === 0);
  }

  /**
   * The last word on a producer that is gone: what it published and did not deliver is lost. `wanted`: what the
   * collector listens to.
   */
  close(wanted: { has(name: EventName): boolean }): ReadonlyMap<EventName, EventCounts> {
    return new Map(eventNames.map((name, type) => {
      const { published, delivered, rolledUp, shed, pending } = this.counts(name);
      const undecided = wanted.has(name) ? this.row.undecided(type) : 0;
      const lost = published + pending + undecided - delivered - rolledUp;
      return [name, {
        published: delivered + rolledUp + lost,
        delivered,
        rolledUp,
        lost,
        shed: shed + since(this.row.shed(type), shed),
        pending: 0,
      }];
    }));
  }
}

/** How far a counter of 32 bits has run on from a number that was its value once. */
function since(counter: number, value: number): number {
  return (counter - value) >>> 0;
}

function add<Key>(counters: Map<Key, number>, key: Key, addend: number): void {
  counters.set(key, (counters.get(key) ?? 0) + addend);
}
