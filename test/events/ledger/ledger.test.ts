import { expect, test } from "bun:test";
import { CounterRow } from "../../../src/events/ledger/counter_row.ts";
import { Ledger } from "../../../src/events/ledger/ledger.ts";
import { eventNames } from "../../../src/events/schema.ts";

const TICK = {
  name: "l1.eviction.tick",
  timeMs: 0,
  count: 3,
  folded: true,
  triggered: "true",
  keys: 3,
  bytes: 3,
} as const;
const type = eventNames.indexOf(TICK.name);

function arrival(published: number) {
  return { singles: [], groups: [TICK], counts: new Map([[TICK.name, { published, shed: 0 }]]) };
}

test("Ledger counts as lost what a batch that came says was in a batch that never came", () => {
  const ledger = new Ledger();
  const first = new CounterRow();
  first.setPublished(type, 3);
  ledger.open("w1", first).enter(arrival(3));
  const row = new CounterRow();
  row.setPublished(type, 12);
  ledger.open("w2", row).enter(arrival(10));
  expect(ledger.counts().get(TICK.name)).toEqual({
    published: 13,
    delivered: 0,
    rolledUp: 6,
    lost: 7,
    shed: 0,
    pending: 2,
  });
});

test("Ledger counts on when a producer's counters run over", () => {
  const ledger = new Ledger();
  const row = new CounterRow();
  const before = 2 ** 32 - 1;
  const account = ledger.open("w1", row);
  row.setPublished(type, before + 3);
  account.enter(arrival(before));
  expect(account.counts(TICK.name)).toMatchObject({ published: before, pending: 3 });
  account.enter(arrival(before + 3));
  expect(account.counts(TICK.name)).toMatchObject({ published: before + 3, pending: 0 });
  row.setPublished(type, before + 4);
  ledger.retire("w1", new Map());
  expect(ledger.counts().get(TICK.name)).toMatchObject({ published: before + 4, pending: 0 });
});

test("Ledger tells lag and window times of live producers, and of the others what counts on", () => {
  const ledger = new Ledger();
  const row = new CounterRow(CounterRow.allocate());
  row.setPublished(type, 1);
  row.setOldest(1e12);
  row.resent = 2;
  row.windowFullMs = 1500;
  ledger.open("w1", row);
  expect(ledger.way(1e12 + 250)).toEqual({ depth: 1, lagSeconds: 0.25, resentBatches: 2, windowFullSeconds: 1.5 });
  ledger.retire("w1", new Map());
  expect(ledger.way(1e12 + 250)).toEqual({ depth: 0, lagSeconds: 0, resentBatches: 2, windowFullSeconds: 1.5 });
});
