import type { EventName } from "./catalogue.ts";
import { eventNames } from "./schema.ts";

/** What became of the events of one type: published = delivered + rolledUp + lost, whenever it is asked. */
export interface EventCounts {
  /** Events that the collector has found in the memory of their producers. */
  readonly published: number;
  /** Dispatched one by one, with details. */
  readonly delivered: number;
  /** Dispatched as part of a group. */
  readonly rolledUp: number;
  /** Individual events that could not be read. */
  readonly lost: number;
  /** Rolled up although somebody wanted details: there was no room. */
  readonly shed: number;
  /** Published and not dispatched yet: not part of `published`. */
  readonly pending: number;
}

type Total = { -readonly [K in Exclude<keyof EventCounts, "published" | "pending">]: number };

/** Counts events by type and by what became of them, over all producers that ever were. */
export class EventTotals {
  readonly #totals: readonly Total[] = eventNames.map(() => ({ delivered: 0, rolledUp: 0, lost: 0, shed: 0 }));

  /** An individual event of a type, by its place in the catalogue, was dispatched, or could not be read. */
  addIndividual(type: number, isLost: boolean): void {
    const total = this.#totals[type];
    if (total === undefined) return;
    if (isLost) total.lost++;
    else total.delivered++;
  }

  /** A group was dispatched. */
  addGroup(type: number, count: number, shed: boolean): void {
    const total = this.#totals[type];
    if (total === undefined) return;
    total.rolledUp += count;
    if (shed) total.shed += count;
  }

  /** In the order of the catalogue. `pending`: by type. */
  counts(pending: readonly number[]): ReadonlyMap<EventName, EventCounts> {
    return new Map(eventNames.map((name, type) => {
      const { delivered = 0, rolledUp = 0, lost = 0, shed = 0 } = this.#totals[type] ?? {};
      const published = delivered + rolledUp + lost;
      return [name, { published, delivered, rolledUp, lost, shed, pending: pending[type] ?? 0 }];
    }));
  }
}
