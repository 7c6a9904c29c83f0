import { expect, test } from "bun:test";
import { Collector } from "../../src/events/collector.ts";
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
