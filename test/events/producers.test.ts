import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { Segment } from "../../src/events/memory/segment.ts";
import { settle } from "./fake_time.ts";
import { Fixture, READ, recorder, sumOf } from "./fixture.ts";

describe("EventBus with producers on other threads", () => {
  test("delivers what happened before it began, and nothing before that", async () => {
    const fixture = new Fixture({ held: true });
    const { bus } = fixture;
    const { publish } = fixture.producer("1.1");
    const { seen, subscriber } = recorder(["l1.removed"]);
    publish("l1.read.finished", READ);
    bus.subscribe(subscriber);
    publish("l1.removed", { ...READ, reason: "expired" });
    await bus.flush();
    expect(seen).toEqual([]);
    bus.begin();
    publish("l1.removed", { ...READ, reason: "expired" });
    await bus.flush();
    expect(seen.map(({ name, count, folded }) => [name, count, folded])).toEqual([
      ["l1.removed", 1, false],
      ["l1.read.finished", 1, true],
      ["l1.removed", 1, true],
    ]);
  });

  test("has everything after a flush although no producer's event loop turns and no notifier is heard", async () => {
    const fixture = new Fixture();
    const { seen, subscriber } = recorder(["l1.removed"]);
    fixture.bus.subscribe(subscriber);
    const { publish } = fixture.producer("1.1");
    for (const key of ["a", "b"]) publish("l1.removed", { ...READ, reason: "deleted", key });
    publish("l1.read.finished", READ);
    fixture.time.nowMs += 250;
    expect(fixture.bus.stats()).toMatchObject({ depth: 3, lagSeconds: 0.25 });
    await fixture.bus.flush();
    expect(seen.map((event) => [event.name, "key" in event ? event.key : undefined, event.count])).toEqual([
      ["l1.removed", "a", 1],
      ["l1.removed", "b", 1],
      ["l1.read.finished", undefined, 1],
    ]);
    expect(fixture.bus.stats()).toMatchObject({ depth: 0, lagSeconds: 0 });
  });

  test("looks at once when a producer rings, and by itself when the notifier is lost", async () => {
    const fixture = new Fixture();
    const { time, notifiers, bus } = fixture;
    const { seen, subscriber } = recorder(["l1.removed"]);
    bus.subscribe(subscriber);
    const { publish } = fixture.producer("1.1");
    publish("l1.removed", { ...READ, reason: "quota" });
    await time.advance(9);
    expect(notifiers.said.length).toBe(0);
    await time.advance(1);
    expect([notifiers.said.length, seen.length]).toEqual([1, 0]);
    notifiers.deliver(3);
    await settle();
    expect(seen.length).toBe(1);
    publish("l1.removed", { ...READ, reason: "quota" });
    await time.advance(10);
    notifiers.said.length = 0;
    await time.advance(250);
    expect(seen.length).toBe(2);
  });

  test("rings after so many individual events without waiting for a timer", () => {
    const fixture = new Fixture();
    fixture.bus.subscribe(recorder(["l1.removed"]).subscriber);
    const { publish } = fixture.producer("1.1", 5000);
    for (let event = 0; event < 2048; event++) publish("l1.removed", { ...READ, reason: "quota" });
    expect(fixture.notifiers.said.map(({ written }) => written)).toEqual([1024, 2048]);
  });

  test("counts every event exactly when notifiers are lost, repeated and late, subscriptions change and producers die", async () => {
    const step = fc.oneof(
      {
        weight: 4,
        arbitrary: fc.record({
          read: fc.boolean(),
          producer: fc.nat({ max: 1 }),
          events: fc.integer({ min: 1, max: 12 }),
        }),
      },
      { weight: 3, arbitrary: fc.record({ notifier: fc.constantFrom("drop", "once", "twice") }) },
      { weight: 3, arbitrary: fc.record({ elapsedMs: fc.integer({ min: 1, max: 150 }) }) },
      { weight: 1, arbitrary: fc.constantFrom("individual" as const, "aggregated" as const) },
      { weight: 1, arbitrary: fc.record({ dies: fc.nat({ max: 1 }) }) },
    );
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 80 }), fc.integer({ min: 0, max: 6 }), async (steps, queueSize) => {
        const fixture = new Fixture();
        const { bus, time, notifiers } = fixture;
        const { seen, subscriber } = recorder(["l1.removed"]);
        bus.subscribe(subscriber);
        let generation = 1;
        const producers = [0, 1].map((place) => ({ id: `${place}.1`, ...fixture.producer(`${place}.1`, queueSize) }));
        let stopDetail = () => {};
        const sent = { "l1.read.finished": 0, "l1.removed": 0 };
        for (const step of steps) {
          if (step === "individual") stopDetail = bus.subscribe(recorder(["l1.read.finished"]).subscriber);
          else if (step === "aggregated") stopDetail();
          else if ("notifier" in step) {
            if (step.notifier === "drop") notifiers.said.shift();
            else notifiers.deliver(step.notifier === "once" ? 1 : 2);
          } else if ("elapsedMs" in step) await time.advance(step.elapsedMs);
          else if ("dies" in step) {
            const { id = "" } = producers[step.dies] ?? {};
            await bus.producerGone(id);
            const next = `${step.dies}.${++generation}`;
            producers[step.dies] = { id: next, ...fixture.producer(next, queueSize) };
          } else {
            for (let event = 0; event < step.events; event++) {
              if (step.read) producers[step.producer]?.publish("l1.read.finished", READ);
              else producers[step.producer]?.publish("l1.removed", { ...READ, reason: "quota" });
            }
            sent[step.read ? "l1.read.finished" : "l1.removed"] += step.events;
          }
        }
        await bus.flush();
        for (const name of ["l1.read.finished", "l1.removed"] as const) {
          expect(sumOf(seen.filter((event) => event.name === name))).toBe(sent[name]);
          expect(bus.stats().events.get(name)).toMatchObject({ published: sent[name], lost: 0, pending: 0 });
        }
      }),
      { numRuns: 40 },
    );
  });

  test("counts what a thread publishes after it was said to be gone, and nothing after that", async () => {
    const fixture = new Fixture({ lingerMs: 1000 });
    const { bus, time } = fixture;
    const { seen, subscriber } = recorder();
    bus.subscribe(subscriber);
    const { publish } = fixture.producer("1.1");
    publish("l1.read.finished", READ);
    await bus.producerGone("1.1");
    expect(sumOf(seen)).toBe(1);
    publish("l1.read.finished", READ);
    await time.advance(999);
    expect(sumOf(seen)).toBe(2);
    await time.advance(1);
    publish("l1.read.finished", READ);
    await bus.flush();
    expect(sumOf(seen)).toBe(2);
    expect(bus.stats().events.get("l1.read.finished")).toMatchObject({ published: 2, pending: 0 });
  });

  test("tells an event that it cannot read as lost, and goes on", async () => {
    const fixture = new Fixture();
    const { seen, subscriber } = recorder(["l1.removed"]);
    fixture.bus.subscribe(subscriber);
    const { publish } = fixture.producer("1.1");
    for (const key of ["a", "b"]) publish("l1.removed", { ...READ, reason: "deleted", key });
    const segment = new Segment(fixture.memory);
    // The length of the first string of the oldest record, behind its header, time and two numbers.
    segment.words[segment.ringAt / 4 + 8] = 1e9;
    await fixture.bus.flush();
    expect(seen.map((event) => "key" in event ? event.key : undefined)).toEqual(["b"]);
    expect(fixture.bus.stats().events.get("l1.removed")).toMatchObject({ published: 2, delivered: 1, lost: 1 });
  });

  test("leaves the thread to others while a subscriber is slow, and still delivers everything", async () => {
    const fixture = new Fixture({ sliceMs: 4 });
    const { bus, time } = fixture;
    let handled = 0;
    bus.subscribe({
      name: "slow",
      subscriptions: {
        "l1.read.finished": () => {
          handled++;
          time.nowMs += 1;
        },
      },
      individual: ["l1.read.finished"],
    });
    const { publish } = fixture.producer("1.1");
    for (let event = 0; event < 100; event++) publish("l1.read.finished", READ);
    const flushed = bus.flush();
    await settle();
    // At most two strides of events until the clock has been looked at twice.
    expect(handled).toBeLessThanOrEqual(32);
    const { published, delivered } = bus.stats().events.get("l1.read.finished") ?? {};
    expect([published, delivered]).toEqual([handled, handled]);
    await flushed;
    expect(handled).toBe(100);
  });

  test("leaves no timer when it is stopped", async () => {
    const fixture = new Fixture();
    const { bus, time } = fixture;
    const { seen, subscriber } = recorder(["l1.removed"]);
    bus.subscribe(subscriber);
    const producer = fixture.producer("1.1");
    producer.publish("l1.removed", { ...READ, reason: "quota" });
    producer.stop();
    producer.publish("l1.removed", { ...READ, reason: "quota" });
    await bus.producerGone("1.1");
    await bus.stop();
    expect(sumOf(seen)).toBe(1);
    await time.advance(10);
    expect(time.pending).toBe(0);
  });
});
