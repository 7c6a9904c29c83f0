import { describe, expect, test } from "bun:test";
import { CounterRow } from "../../../src/events/ledger/counter_row.ts";
import { eventNames } from "../../../src/events/schema.ts";
import type { Subscriber } from "../../../src/events/subscriber.ts";
import { brokenIdentities, Fixture, READ, recorder } from "./fixture.ts";

/** Subscribes a recorder and lets the producers hear of it. */
async function listening(fixture: Fixture, ...detail: Parameters<typeof recorder>) {
  const { seen, subscriber } = recorder(...detail);
  const unsubscribe = fixture.hub.subscribe(subscriber);
  await fixture.calm();
  return { seen, unsubscribe };
}

describe("CollectorHub", () => {
  test("delivers what happened before a producer heard of any interest, and drops what nobody wants", async () => {
    const fixture = new Fixture();
    const { seen, subscriber } = recorder(["l1.removed"]);
    fixture.hub.subscribe(subscriber);
    const { publish } = fixture.producer("1.1");
    for (let event = 0; event < 3; event++) publish("l1.read.finished", READ);
    publish("l1.removed", { ...READ, reason: "expired" });
    publish("l1.write.aborted", READ);
    await fixture.calm();
    expect(seen.map(({ name, count, folded }) => [name, count, folded])).toEqual([
      ["l1.read.finished", 3, true],
      ["l1.removed", 1, true],
    ]);
    const { events } = fixture.hub.stats();
    expect(events.get("l1.write.aborted")).toMatchObject({ published: 0, pending: 0 });
    expect(events.get("l1.removed")).toMatchObject({ published: 1, rolledUp: 1, shed: 1 });
  });

  test("keeps single events in order with their times and details when they cross threads", async () => {
    const fixture = new Fixture();
    const { publish } = fixture.producer("1.1", { batchSize: 2 });
    const { seen } = await listening(fixture, ["l1.read.finished", "l1.removed"]);
    for (const key of ["a", "b", "c"]) {
      fixture.time.nowMs++;
      publish("l1.read.finished", { ...READ, key });
      publish("l1.removed", { ...READ, reason: "deleted", key });
    }
    const startMs = fixture.time.nowMs;
    expect(await fixture.during(fixture.hub.flush())).toEqual([]);
    expect(seen.map((event) => [event.name, event.timeMs - startMs, "key" in event ? event.key : ""])).toEqual([
      ["l1.read.finished", -2, "a"],
      ["l1.removed", -2, "a"],
      ["l1.read.finished", -1, "b"],
      ["l1.removed", -1, "b"],
      ["l1.read.finished", 0, "c"],
      ["l1.removed", 0, "c"],
    ]);
  });

  test("has everything after a flush, without waiting for the producer's timer", async () => {
    const fixture = new Fixture();
    const producer = fixture.producer("1.1", { flushIntervalMs: 1e9 });
    const { seen } = await listening(fixture);
    producer.publish("l1.read.finished", READ);
    expect(fixture.hub.stats()).toMatchObject({ depth: 1 });
    expect(await fixture.during(fixture.hub.flush())).toEqual([]);
    expect(seen.length).toBe(1);
    expect(fixture.hub.stats()).toMatchObject({ depth: 0, lagSeconds: 0 });
  });

  test("names the producer that does not answer a flush by the deadline, and goes on with the others", async () => {
    const fixture = new Fixture();
    const { hub } = fixture;
    const memory = CounterRow.allocate();
    const row = new CounterRow(memory);
    hub.addProducer("1.1", memory);
    const { publish } = fixture.producer("2.1");
    const { seen } = await listening(fixture);
    publish("l1.read.finished", READ);
    row.setPublished(eventNames.indexOf("l1.removed"), 3);
    expect(await fixture.during(hub.flush(500))).toEqual(["1.1"]);
    expect(seen.length).toBe(1);
    expect(hub.stats().flushTimeouts).toBe(1);
    await fixture.during(hub.producerGone("1.1"));
    expect(await fixture.during(hub.flush(500))).toEqual([]);
    expect(hub.stats().events.get("l1.removed")).toMatchObject({ published: 3, lost: 3 });
  });

  test("does not wait for a producer whose thread has not started", async () => {
    const fixture = new Fixture();
    fixture.hub.addProducer("1.1", CounterRow.allocate());
    const startMs = fixture.time.nowMs;
    expect(await fixture.during(fixture.hub.flush(500))).toEqual([]);
    expect(fixture.time.nowMs - startMs).toBeLessThan(500);
  });

  test("keeps the totals of the dead when a worker is replaced, and starts the new one from zero", async () => {
    const fixture = new Fixture();
    const { hub } = fixture;
    const first = fixture.producer("1.1", { flushIntervalMs: 1e9 });
    const { seen } = await listening(fixture);
    for (let event = 0; event < 5; event++) first.publish("l1.read.finished", READ);
    await fixture.during(hub.flush());
    for (let event = 0; event < 2; event++) first.publish("l1.read.finished", READ);
    await fixture.during(hub.producerGone("1.1"));
    const second = fixture.producer("1.2");
    second.publish("l1.read.finished", READ);
    await fixture.calm();
    expect(hub.stats().events.get("l1.read.finished")).toEqual({
      published: 8,
      delivered: 0,
      rolledUp: 6,
      lost: 2,
      shed: 0,
      pending: 0,
    });
    expect(hub.stats().producers.get("1.2")?.get("l1.read.finished")).toMatchObject({ published: 1, lost: 0 });
    expect(seen.reduce((sum, { count }) => sum + count, 0)).toBe(6);
  });

  test("counts as lost what a producer that never heard of any interest takes along, if somebody wants it", async () => {
    const fixture = new Fixture();
    fixture.hub.subscribe(recorder().subscriber);
    const { publish } = fixture.producer("1.1");
    publish("l1.read.finished", READ);
    publish("l1.write.aborted", READ);
    await fixture.during(fixture.hub.producerGone("1.1"));
    const { events } = fixture.hub.stats();
    expect(events.get("l1.read.finished")).toMatchObject({ published: 1, lost: 1 });
    expect(events.get("l1.write.aborted")).toMatchObject({ published: 0, lost: 0 });
  });

  test("sheds details and no counts while the window is full, and holds no more than its bound", async () => {
    const fixture = new Fixture();
    const { hub, net, time } = fixture;
    const { publish } = fixture.producer("1.1", { queueSize: 4, batchSize: 2, window: 2, resendMs: 1e9 });
    const { seen } = await listening(fixture, ["l1.read.finished"]);
    for (let round = 0; round < 50; round++) {
      for (let event = 0; event < 20; event++) publish("l1.read.finished", READ);
      await time.advance(10);
      // Two batches are under way and unheard of; nothing more may be sent.
      expect(net.size).toBeLessThanOrEqual(2);
    }
    expect(hub.stats()).toMatchObject({ depth: 1000, lagSeconds: 0.5 });
    await fixture.calm();
    expect(hub.stats()).toMatchObject({ depth: 0, lagSeconds: 0 });
    const counts = hub.stats().events.get("l1.read.finished");
    expect(counts).toMatchObject({ published: 1000, lost: 0 });
    // Two batches of two singles and a full queue; the first of the batches took the groups of its time along.
    expect(counts?.delivered).toBe(8);
    expect(counts?.shed).toBe(992);
    expect(seen.reduce((sum, event) => sum + event.count, 0)).toBe(1000);
    expect(hub.stats().windowFullSeconds).toBeGreaterThan(0.4);
  });

  test("lets folded events wait longer than single ones, which take them along", async () => {
    const fixture = new Fixture();
    const { net, time } = fixture;
    const { publish } = fixture.producer("1.1");
    await listening(fixture, ["l1.removed"]);
    publish("l1.read.finished", READ);
    await time.advance(99);
    expect(net.size).toBe(0);
    await time.advance(1);
    expect(net.size).toBe(1);
    await fixture.calm();
    publish("l1.read.finished", READ);
    await time.advance(30);
    publish("l1.removed", { ...READ, reason: "expired" });
    await time.advance(9);
    expect(net.size).toBe(0);
    await time.advance(1);
    expect(net.size).toBe(1);
    await fixture.calm();
    const counts = ["l1.read.finished" as const, "l1.removed" as const].map((name) =>
      fixture.hub.stats().events.get(name)
    );
    expect(counts.map((count) => count?.lost)).toEqual([0, 0]);
    expect(counts.map((count) => [count?.delivered, count?.rolledUp])).toEqual([[0, 2], [1, 0]]);
  });

  test("sends a batch for each interval and not for each acknowledgement when events go on and on", async () => {
    const fixture = new Fixture();
    const { hub, net, time } = fixture;
    const { publish } = fixture.producer("1.1");
    const { seen } = await listening(fixture);
    for (let ms = 0; ms < 200; ms++) {
      publish("l1.read.finished", READ);
      await time.advance(1);
      await net.deliver();
    }
    expect(seen.length).toBe(2);
    expect(hub.stats().events.get("l1.read.finished")).toMatchObject({ published: 200, rolledUp: 200 });
  });

  test("says how often batches were sent again and ignored", async () => {
    const fixture = new Fixture();
    const { hub, net, time } = fixture;
    const { publish } = fixture.producer("1.1");
    await listening(fixture);
    publish("l1.read.finished", READ);
    await time.advance(100);
    await net.deliver(["twice" as const, "drop" as const][Symbol.iterator]());
    // The acknowledgements are lost.
    await net.deliver(["drop" as const, "drop" as const][Symbol.iterator]());
    await fixture.calm();
    expect(hub.stats().resentBatches).toBe(1);
    expect(hub.stats().ignoredBatches).toEqual({ duplicate: 2, gap: 0 });
    expect(hub.stats().events.get("l1.read.finished")).toMatchObject({ published: 1, rolledUp: 1 });
  });

  test("counts a throwing subscriber by its name and delivers to the others", async () => {
    const fixture = new Fixture();
    const broken: Subscriber = {
      name: "broken",
      subscriptions: {
        "l1.read.finished": () => {
          throw new Error("broken on purpose");
        },
      },
    };
    fixture.hub.subscribe(broken);
    const { publish } = fixture.producer("1.1");
    const { seen } = await listening(fixture);
    publish("l1.read.finished", READ);
    await fixture.during(fixture.hub.flush());
    expect(seen.length).toBe(1);
    expect(fixture.hub.stats().subscriberExceptions).toEqual(new Map([["broken", 1], ["recorder", 0]]));
  });

  for (const batchSize of [1024, 8]) {
    test(`leaves the thread to others when a subscriber is slow and batches are of ${batchSize}, and still counts everything`, async () => {
      const fixture = new Fixture({ sliceMs: 4 });
      const { hub, net, time } = fixture;
      const { publish } = fixture.producer("1.1", { flushIntervalMs: 1e6, batchSize, window: 100 });
      let handled = 0;
      hub.subscribe({
        name: "slow",
        subscriptions: {
          "l1.read.finished": () => {
            handled++;
            time.nowMs += 1;
          },
        },
        detail: ["l1.read.finished"],
      });
      await fixture.calm();
      for (let event = 0; event < 100; event++) publish("l1.read.finished", READ);
      const flushed = hub.flush(1e9);
      await net.deliver();
      await net.deliver();
      // At most a stride of events until the clock is looked at.
      expect(handled).toBeLessThanOrEqual(16);
      expect(brokenIdentities(hub)).toEqual([]);
      await fixture.during(flushed);
      expect(handled).toBe(100);
      expect(hub.stats().events.get("l1.read.finished")).toMatchObject({ published: 100, delivered: 100 });
    });
  }

  test("dispatches what has arrived of a dead producer before its account is closed", async () => {
    const fixture = new Fixture();
    const { hub, net, time } = fixture;
    const { publish } = fixture.producer("1.1");
    hub.subscribe({
      name: "slow",
      subscriptions: { "l1.removed": () => void (time.nowMs += 1) },
      detail: ["l1.removed"],
    });
    await fixture.calm();
    for (let event = 0; event < 100; event++) publish("l1.removed", { ...READ, reason: "quota" });
    await time.advance(10);
    await net.deliver();
    publish("l1.removed", { ...READ, reason: "quota" });
    await fixture.during(hub.producerGone("1.1"));
    expect(hub.stats().events.get("l1.removed")).toMatchObject({ published: 101, delivered: 100, lost: 1 });
  });

  test("is heard by its latest interest when an older one arrives late", async () => {
    const fixture = new Fixture();
    const { hub, net } = fixture;
    const { publish } = fixture.producer("1.1");
    await fixture.calm();
    const { seen, subscriber } = recorder();
    hub.subscribe(recorder().subscriber);
    hub.subscribe({ ...subscriber, detail: ["l1.read.finished"] });
    await net.deliver(["later" as const, "deliver" as const][Symbol.iterator]());
    await fixture.calm();
    publish("l1.read.finished", READ);
    await fixture.calm();
    expect(seen.map(({ folded }) => folded)).toEqual([false]);
  });

  test("delivers its own thread's events, too", async () => {
    const fixture = new Fixture();
    const { seen } = await listening(fixture);
    fixture.hub.publish("l1.read.finished", READ);
    await fixture.during(fixture.hub.flush());
    expect(seen.length).toBe(1);
    expect(fixture.hub.stats().producers.get("main")?.get("l1.read.finished")).toMatchObject({ published: 1 });
  });

  test("delivers everything and leaves no timer when producers and hub are stopped", async () => {
    const fixture = new Fixture();
    const producer = fixture.producer("1.1", { window: 1, batchSize: 1, queueSize: 10 });
    const { seen } = await listening(fixture, ["l1.read.finished"]);
    for (let event = 0; event < 30; event++) producer.publish("l1.read.finished", READ);
    expect(await fixture.during(producer.stop())).toBe(true);
    producer.publish("l1.read.finished", READ);
    expect(seen.reduce((sum, { count }) => sum + count, 0)).toBe(30);
    await fixture.during(fixture.hub.producerGone("1.1"));
    await fixture.during(fixture.hub.stop());
    expect(fixture.hub.stats().events.get("l1.read.finished")).toMatchObject({ published: 30, lost: 0 });
    expect(fixture.time.pending).toBe(0);
  });

  test("stops by the deadline when the collector has gone before the producer", async () => {
    const fixture = new Fixture();
    const producer = fixture.producer("1.1");
    await listening(fixture);
    await fixture.during(fixture.hub.stop());
    producer.publish("l1.read.finished", READ);
    expect(await fixture.during(producer.stop({ deadlineMs: 50 }))).toBe(false);
  });
});
