import { expect, test } from "bun:test";
import { Dispatcher } from "../../src/events/dispatcher.ts";
import type { SubscriptionLevels } from "../../src/events/subscriber.ts";

test("Dispatcher tells producers what is listened to, now and at each change", () => {
  const dispatcher = new Dispatcher();
  const told: SubscriptionLevels[] = [];
  dispatcher.onLevels((levels) => told.push(levels));
  const stop = dispatcher.subscribe({
    name: "live",
    subscriptions: { "l1.removed": () => {} },
    individual: ["l1.removed", "l1.read.finished"],
  });
  dispatcher.subscribe({ name: "metrics", subscriptions: { "l1.removed": () => {}, "l1.read.finished": () => {} } });
  stop();
  stop();
  expect(told).toEqual([
    new Map(),
    new Map([["l1.removed", "individual"]]),
    new Map([["l1.read.finished", "aggregated"], ["l1.removed", "individual"]]),
    new Map([["l1.read.finished", "aggregated"], ["l1.removed", "aggregated"]]),
  ]);
});

test("Dispatcher tells the first exception of a subscriber with its cause, and counts the others", () => {
  const told: unknown[] = [];
  const dispatcher = new Dispatcher((name, error) => told.push([name, error]));
  const cause = new Error("broken");
  dispatcher.subscribe({
    name: "bad",
    subscriptions: {
      "worker.started"() {
        throw cause;
      },
    },
  });
  const event = { name: "worker.started", timeMs: 1, count: 1, folded: false, slot: "0" } as const;
  for (let n = 0; n < 3; n += 1) dispatcher.dispatch(event);
  expect([told, dispatcher.exceptions().get("bad")]).toEqual([[["bad", cause]], 3]);
});
