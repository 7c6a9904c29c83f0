import { expect, test } from "bun:test";
import { Collector } from "../../src/events/dispatcher.ts";
import type { Interest } from "../../src/events/subscriber.ts";

test("Collector tells producers what is listened to, now and at each change", () => {
  const collector = new Collector();
  const told: Interest[] = [];
  collector.onInterest((interest) => told.push(interest));
  const stop = collector.subscribe({
    name: "live",
    subscriptions: { "l1.removed": () => {} },
    detail: ["l1.removed", "l1.read.finished"],
  });
  collector.subscribe({ name: "metrics", subscriptions: { "l1.removed": () => {}, "l1.read.finished": () => {} } });
  stop();
  stop();
  expect(told).toEqual([
    new Map(),
    new Map([["l1.removed", "detail"]]),
    new Map([["l1.read.finished", "folded"], ["l1.removed", "detail"]]),
    new Map([["l1.read.finished", "folded"], ["l1.removed", "folded"]]),
  ]);
});

test("Collector tells the first exception of a subscriber with its cause, and counts the others", () => {
  const told: unknown[] = [];
  const collector = new Collector((name, error) => told.push([name, error]));
  const cause = new Error("broken");
  collector.subscribe({
    name: "bad",
    subscriptions: {
      "worker.started"() {
        throw cause;
      },
    },
  });
  const event = { name: "worker.started", timeMs: 1, count: 1, folded: false, place: "0" } as const;
  for (let n = 0; n < 3; n += 1) collector.dispatch(event);
  expect([told, collector.exceptions().get("bad")]).toEqual([[["bad", cause]], 3]);
});
