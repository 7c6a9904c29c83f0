import { expect, test } from "bun:test";
import { EventBus } from "../../../src/events/bus.ts";
import type { EventName } from "../../../src/events/catalogue.ts";
import { LiveFeed } from "../../../src/events/live/live_feed.ts";
import type { LiveItem } from "../../../src/events/live/live_listener.ts";
import { FakeTime } from "../fake_time.ts";
import { FakeBus, SMALL } from "./fake_bus.ts";

const READ = "l1.read.finished";
const WRITE = "l1.write.finished";
const wanting = (...types: readonly EventName[]) => ({ types, tenant: undefined, lastEventId: undefined });
const brief = (items: readonly LiveItem[]) => items.map((item) => "lost" in item ? `lost ${item.lost}` : item.sequence);

test("LiveFeed is not on the bus when nobody listens and nobody left a short time ago", async () => {
  const bus = new FakeBus();
  expect(bus.types()).toEqual([]);
  const listener = bus.feed.listen(wanting(READ));
  expect(bus.types()).toEqual([READ]);
  listener.leave();
  await bus.time.advance(SMALL.lingerMs - 1);
  expect(bus.types()).toEqual([READ]);
  await bus.time.advance(1);
  expect([bus.types(), bus.feed.listeners, bus.time.pending]).toEqual([[], 0, 0]);
});

test("LiveFeed subscribes to the union of what is wanted, the new before the old goes, when listeners come and go", async () => {
  const bus = new FakeBus();
  const first = bus.feed.listen(wanting(READ));
  const second = bus.feed.listen(wanting(READ, WRITE));
  expect(bus.types().toSorted()).toEqual([READ, WRITE]);
  bus.publish(READ);
  bus.publish(WRITE);
  expect([brief(first.take(9)), brief(second.take(9))]).toEqual([[1], [1, 2]]);
  second.leave();
  await bus.time.advance(SMALL.lingerMs);
  expect(bus.types()).toEqual([READ]);
  expect(bus.history).toEqual([1, 2, 1, 2, 1]);
});

test("LiveFeed gives a listener only events of its tenant when it wants one", () => {
  const bus = new FakeBus();
  const listener = bus.feed.listen({ ...wanting(READ), tenant: "a" });
  for (const tenant of ["", "a", "b", "a"]) bus.publish(READ, { tenant });
  expect(brief(listener.take(9))).toEqual([2, 4]);
});

test("LiveListener loses the oldest and is told how many in their place when its queue is full", () => {
  const bus = new FakeBus();
  const listener = bus.feed.listen(wanting(READ));
  for (let i = 0; i < SMALL.queue; i++) bus.publish(READ, { count: 10 });
  expect(brief(listener.take(1))).toEqual([1]);
  for (let i = 0; i < 3; i++) bus.publish(READ, { count: 10 });
  expect(brief(listener.take(2))).toEqual(["lost 20", 4]);
  expect(brief(listener.take(9))).toEqual([5, 6, 7]);
  expect(brief(listener.take(9))).toEqual([]);
});

test("LiveListener loses nothing when exactly as many wait as may", () => {
  const bus = new FakeBus();
  const listener = bus.feed.listen(wanting(READ));
  for (let i = 0; i < SMALL.queue; i++) bus.publish(READ);
  expect(brief(listener.take(9))).toEqual([1, 2, 3, 4]);
});

test("LiveFeed refuses one listener too many, and takes one again when another has left", () => {
  const { feed } = new FakeBus();
  const listeners = Array.from({ length: SMALL.listeners }, () => feed.listen(wanting(READ)));
  expect(() => feed.listen(wanting(READ))).toThrow("3 are open");
  listeners[0]?.leave();
  listeners[0]?.leave();
  feed.listen(wanting(READ));
  expect(() => feed.listen(wanting(READ))).toThrow("3 are open");
});

test("LiveFeed replays what came after the last id when all of it is kept", () => {
  const bus = new FakeBus();
  const listener = bus.feed.listen(wanting(READ));
  for (let i = 0; i < 9; i++) bus.publish(READ);
  listener.leave();
  const back = (place: number) => brief(bus.feed.listen({ ...wanting(READ), lastEventId: `n-${place}` }).take(9));
  expect(back(9)).toEqual([]);
  expect(back(3)).toEqual([4, 5, 6, 7, 8, 9]);
});

test("LiveFeed does not say how many are lost when the last id is older than what is kept, unknown or not yet given", () => {
  for (
    const [id, items] of [
      ["n-2", ["lost undefined", 4, 5, 6, 7, 8, 9]],
      ["other-8", ["lost undefined"]],
      ["n-10", ["lost undefined"]],
      ["n--1", ["lost undefined"]],
      ["", ["lost undefined"]],
    ] as const
  ) {
    const bus = new FakeBus();
    bus.feed.listen(wanting(READ));
    for (let i = 0; i < 9; i++) bus.publish(READ);
    const listener = bus.feed.listen({ ...wanting(READ), lastEventId: id });
    expect([id, brief(listener.take(9))]).toEqual([id, [...items]]);
  }
});

test("LiveFeed does not say how many are lost when nobody listened to one of the types for a while, even if somebody does again", async () => {
  const bus = new FakeBus();
  const both = bus.feed.listen(wanting(READ, WRITE));
  const one = bus.feed.listen(wanting(READ));
  bus.publish(WRITE);
  both.leave();
  await bus.time.advance(SMALL.lingerMs);
  bus.publish(WRITE);
  bus.publish(READ);
  bus.feed.listen(wanting(WRITE));
  const back = bus.feed.listen({ ...wanting(READ, WRITE), lastEventId: "n-1" });
  expect([brief(back.take(9)), brief(one.take(9))]).toEqual([["lost undefined", 2], [2]]);
});

test("LiveFeed still does not say how many are lost when that listener, or another, comes back once more", async () => {
  const bus = new FakeBus();
  const wanted = { types: ["l1.read.finished"], tenant: undefined } as const;
  bus.feed.listen({ ...wanted, lastEventId: undefined }).leave();
  await bus.time.advance(SMALL.lingerMs);
  bus.publish("l1.read.finished");
  // It leaves before it has taken what it is told.
  bus.feed.listen({ ...wanted, lastEventId: "n-0" }).leave();
  for (let i = 0; i < 2; i++) {
    const listener = bus.feed.listen({ ...wanted, lastEventId: "n-0" });
    expect(listener.take(9)).toEqual([{ sequence: 0, lost: undefined }]);
    listener.leave();
  }
});

test("LiveListener is woken when a record comes and when the feed is closed, after which nobody may listen", async () => {
  const bus = new FakeBus();
  const listener = bus.feed.listen(wanting(READ));
  const woken = listener.wait();
  bus.publish(READ);
  await woken;
  listener.take(9);
  const ended = listener.wait();
  bus.feed.close();
  await ended;
  expect([listener.ended, bus.types(), bus.time.pending]).toEqual([true, [], 0]);
  expect(() => bus.feed.listen(wanting(READ))).toThrow("shutting down");
});

test("LiveFeed delivers groups whose counts make the total exact when the bus sheds details", async () => {
  const time = new FakeTime();
  const bus = new EventBus({ clock: time.clock, schedule: time.schedule, queueSize: 3 });
  const listener = new LiveFeed({ source: bus, schedule: time.schedule, nonce: "n" }).listen(wanting(READ));
  for (let i = 0; i < 10; i++) bus.publish(READ, { tenant: "", keys: 1, bytes: 10, key: `k${i}` });
  await bus.flush();
  const events = listener.take(99).flatMap((item) => "lost" in item ? [] : [item.event]);
  expect(events.map(({ folded, count }) => [folded, count])).toEqual([[false, 1], [false, 1], [false, 1], [true, 7]]);
});
