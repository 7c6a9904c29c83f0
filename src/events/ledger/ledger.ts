import { Account, type EventCounts } from "./account.ts";
import type { EventName } from "../catalogue.ts";
import type { CounterRow } from "./counter_row.ts";
import { eventNames } from "../schema.ts";

type CountsByType = ReadonlyMap<EventName, EventCounts>;

/** The ledger's view of the way from the producers to the collector. */
export interface WayNumbers {
  /** Events published and not dispatched yet. */
  readonly depth: number;
  /** Age of the oldest of them; 0 if there is none. */
  readonly lagSeconds: number;
  /** Batches sent again because no acknowledgement came. */
  readonly resentBatches: number;
  /** Time that producers could not send because too many batches were unacknowledged. */
  readonly windowFullSeconds: number;
}

/**
 * The accounts of all producers. What a producer that is gone has counted stays in the sums, so that they never step
 * back.
 */
export class Ledger {
  readonly #live = new Map<string, Account>();
  #retired: CountsByType = new Map();
  #retiredResent = 0;
  #retiredWindowFullMs = 0;

  /** `id` must not be open already. */
  open(id: string, row: CounterRow): Account {
    const account = new Account(row);
    this.#live.set(id, account);
    return account;
  }

  /** Closes a producer's account; `wanted` as in Account.close. */
  retire(id: string, wanted: { has(name: EventName): boolean }): void {
    const account = this.#live.get(id);
    if (account === undefined) return;
    this.#live.delete(id);
    this.#retired = sum([this.#retired, account.close(wanted)]);
    this.#retiredResent += account.row.resent;
    this.#retiredWindowFullMs += account.row.windowFullMs;
  }

  /** Per event type, in the order of the catalogue, over all producers that ever were. */
  counts(): CountsByType {
    return sum([this.#retired, ...this.byProducer().values()]);
  }

  /** The same for each producer that lives. */
  byProducer(): ReadonlyMap<string, CountsByType> {
    return new Map(Array.from(this.#live, ([id, account]) => [id, countsOf(account)]));
  }

  way(monotonicMs: number): WayNumbers {
    const accounts = [...this.#live.values()];
    const rows = accounts.map(({ row }) => row);
    // A producer learns last that all it had has been dispatched.
    const waiting = accounts.filter((account) => account.pending() > 0);
    const total = (numberOf: (row: CounterRow) => number) => rows.reduce((sum, row) => sum + numberOf(row), 0);
    return {
      depth: waiting.reduce((sum, account) => sum + account.pending(), 0),
      lagSeconds: Math.max(0, ...waiting.map(({ row }) => row.lagMs(monotonicMs))) / 1000,
      resentBatches: this.#retiredResent + total(({ resent }) => resent),
      windowFullSeconds: (this.#retiredWindowFullMs + total(({ windowFullMs }) => windowFullMs)) / 1000,
    };
  }
}

function countsOf(account: Account): CountsByType {
  return new Map(eventNames.map((name) => [name, account.counts(name)]));
}

function sum(parts: readonly CountsByType[]): CountsByType {
  return new Map(eventNames.map((name) => {
    const counts = parts.map((part) => part.get(name)).filter((each) => each !== undefined);
    const total = (key: keyof EventCounts) => counts.reduce((sum, each) => sum + each[key], 0);
    return [name, {
      published: total("published"),
      delivered: total("delivered"),
      rolledUp: total("rolledUp"),
      lost: total("lost"),
      shed: total("shed"),
      pending: total("pending"),
    }];
  }));
}
