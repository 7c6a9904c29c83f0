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

test("Collector counts as lost what a producer published in a batch that never came", () => {
  const collector = new Collector();
  const group = { name: "l1.read.finished", timeMs: 0, count: 3, folded: true, tenant: "", keys: 3, bytes: 3 } as const;
  const counts = (published: number) => new Map([["l1.read.finished" as const, { published, shed: 0 }]]);
  collector.receive({ producer: "w1", singles: [], groups: [group], counts: counts(3) });
  collector.receive({ producer: "w2", singles: [], groups: [group], counts: counts(10) });
  expect(collector.counts().get("l1.read.finished")).toEqual({
    published: 13,
    delivered: 0,
    rolledUp: 6,
    lost: 7,
    shed: 0,
  });
});
