import { expect, test } from "bun:test";
import { EventBus } from "../../src/events/bus.ts";
import type { Delivered } from "../../src/events/subscriber.ts";

const MISS = { tenant: "", tier: "", result: "miss", reason: "unknown", keys: 1, bytes: 0 } as const;

/** A bus with a subscriber that wants the lookups of traced requests, and what it got. */
function listening(queueSize = 10) {
  const bus = new EventBus({ schedule: () => () => {}, queueSize });
  const got: Delivered<"lookup.finished">[] = [];
  bus.subscribe({
    name: "follower",
    subscriptions: { "lookup.finished": (event) => got.push(event) },
    traced: ["lookup.finished"],
  });
  return { bus, got };
}

test("EventBus delivers the events of traced requests individually and the others as aggregates when a subscriber wants it so", async () => {
  const { bus, got } = listening();
  bus.publish("lookup.finished", MISS);
  bus.publish("lookup.finished", { ...MISS, requestId: "r1" });
  bus.publish("lookup.finished", { ...MISS, requestId: undefined });
  bus.publish("lookup.finished", { ...MISS, requestId: "r2" });
  await bus.flush();
  expect(got.map(({ folded, count, requestId }) => [folded, count, requestId])).toEqual([
    [false, 1, "r1"],
    [false, 1, "r2"],
    [true, 2, undefined],
  ]);
});

test("EventBus counts a traced event as shed when the queue is full, and one that is not traced never", async () => {
  const { bus, got } = listening(1);
  for (const requestId of ["r1", undefined, "r2"]) bus.publish("lookup.finished", { ...MISS, requestId });
  await bus.flush();
  expect(got.reduce((sum, { count }) => sum + count, 0)).toBe(3);
  expect(bus.stats().events.get("lookup.finished")).toMatchObject({ published: 3, delivered: 1, rolledUp: 2, shed: 1 });
});

test("EventBus delivers every event individually when another subscriber wants all details", async () => {
  const { bus, got } = listening();
  bus.subscribe({ name: "all", subscriptions: { "lookup.finished": () => {} }, individual: ["lookup.finished"] });
  bus.publish("lookup.finished", MISS);
  await bus.flush();
  expect(got.map(({ folded }) => folded)).toEqual([false]);
});
