import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { EventBus } from "../../src/events/bus.ts";
import type { EventName } from "../../src/events/catalogue.ts";
import type { Delivered, Subscriber } from "../../src/events/subscriber.ts";
import { settle } from "./fake_time.ts";

const READ = { tenant: "", keys: 1, bytes: 10 } as const;

/** A bus whose clock and timer the test drives. */
function manualBus(queueSize = 100) {
  const time = { nowMs: 1000 };
  const timers = new Set<() => void>();
  const bus = new EventBus({
    clock: { nowMs: () => time.nowMs, monotonicMs: () => time.nowMs },
    queueSize,
    schedule: (run) => {
      timers.add(run);
      return () => timers.delete(run);
    },
  });
  const fire = () => {
    for (const run of [...timers]) {
      timers.delete(run);
      run();
    }
  };
  return { bus, time, timers, fire };
}

function recorder(individual: readonly EventName[] = []) {
  const seen: Delivered<EventName>[] = [];
  const subscriber: Subscriber = {
    name: "recorder",
    subscriptions: {
      "l1.read.finished": (event) => seen.push(event),
      "l1.removed": (event) => seen.push(event),
    },
    individual,
  };
  return { seen, subscriber };
}

describe("EventBus", () => {
  test("counts nothing and schedules nothing when nobody listens", async () => {
    const { bus, timers } = manualBus();
    bus.publish("l1.read.finished", READ);
    expect(timers.size).toBe(0);
    await bus.flush();
    expect(bus.stats().events.get("l1.read.finished")).toEqual({
      published: 0,
      delivered: 0,
      rolledUp: 0,
      lost: 0,
      shed: 0,
      pending: 0,
    });
  });

  test("delivers one group per label set when only totals are wanted, and only once its timer fires", async () => {
    const { bus, time, fire } = manualBus();
    const { seen, subscriber } = recorder();
    bus.subscribe(subscriber);
    bus.publish("l1.read.finished", { ...READ, key: "a" });
    time.nowMs = 1500;
    bus.publish("l1.read.finished", { ...READ, key: "b" });
    bus.publish("l1.removed", { ...READ, reason: "expired" });
    expect(seen).toEqual([]);
    expect(bus.stats()).toMatchObject({ depth: 3, lagSeconds: 0.5 });
    fire();
    await settle();
    expect(seen).toEqual([
      { name: "l1.read.finished", timeMs: 1500, count: 2, folded: true, tenant: "", keys: 2, bytes: 20 },
      { name: "l1.removed", timeMs: 1500, count: 1, folded: true, tenant: "", reason: "expired", keys: 1, bytes: 10 },
    ]);
    expect(bus.stats()).toMatchObject({ depth: 0, lagSeconds: 0 });
  });

  test("delivers single events in order with their own time stamps and details when those are wanted", async () => {
    const { bus, time } = manualBus();
    const { seen, subscriber } = recorder(["l1.read.finished", "l1.removed"]);
    bus.subscribe(subscriber);
    for (const key of ["a", "b", "c"]) {
      time.nowMs++;
      bus.publish("l1.read.finished", { ...READ, key });
      bus.publish("l1.removed", { ...READ, reason: "deleted", key });
    }
    await bus.flush();
    expect(seen.map((event) => [event.name, event.timeMs, "key" in event ? event.key : "", event.count, event.folded]))
      .toEqual([
        ["l1.read.finished", 1001, "a", 1, false],
        ["l1.removed", 1001, "a", 1, false],
        ["l1.read.finished", 1002, "b", 1, false],
        ["l1.removed", 1002, "b", 1, false],
        ["l1.read.finished", 1003, "c", 1, false],
        ["l1.removed", 1003, "c", 1, false],
      ]);
  });

  test("sheds details and no counts when the queue is full, and says how many", async () => {
    const { bus } = manualBus(2);
    const { seen, subscriber } = recorder(["l1.read.finished"]);
    bus.subscribe(subscriber);
    for (let published = 0; published < 5; published++) bus.publish("l1.read.finished", READ);
    await bus.flush();
    expect(seen.map(({ count, folded }) => [count, folded])).toEqual([[1, false], [1, false], [3, true]]);
    expect(bus.stats().events.get("l1.read.finished")).toEqual({
      published: 5,
      delivered: 2,
      rolledUp: 3,
      lost: 0,
      shed: 3,
      pending: 0,
    });
  });

  test("accounts for every event and every byte whatever is published, flushed and listened to", async () => {
    const step = fc.oneof(
      {
        weight: 8,
        arbitrary: fc.record({ read: fc.boolean(), bytes: fc.nat({ max: 1000 }), tenant: fc.constantFrom("", "x") }),
      },
      { weight: 1, arbitrary: fc.constantFrom("flush", "timer", "individual", "aggregated") },
    );
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 200 }), fc.integer({ min: 0, max: 5 }), async (steps, queueSize) => {
        const { bus, fire } = manualBus(queueSize);
        const { seen, subscriber } = recorder();
        bus.subscribe(subscriber);
        let stopDetail = () => {};
        const sent = { "l1.read.finished": { count: 0, bytes: 0 }, "l1.removed": { count: 0, bytes: 0 } };
        for (const step of steps) {
          if (step === "flush") await bus.flush();
          else if (step === "timer") fire();
          else if (step === "individual") stopDetail = bus.subscribe(recorder(["l1.read.finished"]).subscriber);
          else if (step === "aggregated") stopDetail();
          else {
            const fields = { tenant: step.tenant, keys: 1, bytes: step.bytes };
            if (step.read) bus.publish("l1.read.finished", fields);
            else bus.publish("l1.removed", { ...fields, reason: "quota" });
            const ledger = sent[step.read ? "l1.read.finished" : "l1.removed"];
            ledger.count++;
            ledger.bytes += step.bytes;
          }
          for (const counts of bus.stats().events.values()) {
            expect(counts.published).toBe(counts.delivered + counts.rolledUp + counts.lost);
          }
        }
        await bus.flush();
        for (const name of ["l1.read.finished", "l1.removed"] as const) {
          const events = seen.filter((event) => event.name === name);
          const counts = bus.stats().events.get(name);
          expect(counts?.published).toBe(sent[name].count);
          expect(counts?.lost).toBe(0);
          expect(events.reduce((sum, { count }) => sum + count, 0)).toBe(sent[name].count);
          expect(events.reduce((sum, event) => sum + ("bytes" in event ? event.bytes : 0), 0)).toBe(sent[name].bytes);
        }
      }),
    );
  });

  test("counts a throwing subscriber by its name and goes on with the others", async () => {
    const { bus } = manualBus();
    const { seen, subscriber } = recorder();
    const broken: Subscriber = {
      name: "broken",
      subscriptions: {
        "l1.read.finished": () => {
          throw new Error("broken on purpose");
        },
      },
      shutdown: () => Promise.reject(new Error("broken to the end")),
    };
    bus.subscribe(broken);
    bus.subscribe(subscriber);
    bus.publish("l1.read.finished", READ);
    await bus.flush();
    expect(seen.length).toBe(1);
    expect(bus.stats().subscriberExceptions).toEqual(new Map([["broken", 1], ["recorder", 0]]));
    await bus.stop();
    expect(bus.stats().subscriberExceptions.get("broken")).toBe(2);
  });

  test("delivers what waits and then shuts subscribers down when stopped, and ignores what comes later", async () => {
    const { bus, timers } = manualBus();
    const calls: string[] = [];
    bus.subscribe({
      name: "last",
      subscriptions: { "l1.read.finished": ({ count }) => calls.push(`event ${count}`) },
      shutdown: () => void calls.push("shutdown"),
    });
    bus.publish("l1.read.finished", READ);
    await bus.stop();
    expect(calls).toEqual(["event 1", "shutdown"]);
    expect(timers.size).toBe(0);
    bus.publish("l1.read.finished", READ);
    await bus.flush();
    expect(calls.length).toBe(2);
    expect(bus.stats().events.get("l1.read.finished")).toMatchObject({ published: 1, rolledUp: 1 });
  });

  test("delivers an event that a subscriber publishes in a later drain", async () => {
    const { bus } = manualBus();
    const { seen, subscriber } = recorder();
    bus.subscribe({
      name: "echo",
      subscriptions: { "l1.read.finished": () => bus.publish("l1.removed", { ...READ, reason: "temporary" }) },
    });
    bus.subscribe(subscriber);
    bus.publish("l1.read.finished", READ);
    await bus.flush();
    expect(seen.map(({ name }) => name)).toEqual(["l1.read.finished"]);
    await bus.flush();
    expect(seen.map(({ name }) => name)).toEqual(["l1.read.finished", "l1.removed"]);
  });

  test("dispatches by itself soon after a publish when it has the real timer", async () => {
    const bus = new EventBus({ lookMs: 1 });
    const count = await new Promise<number>((resolve) => {
      bus.subscribe({ name: "once", subscriptions: { "l1.read.finished": (event) => resolve(event.count) } });
      bus.publish("l1.read.finished", READ);
      // The bus's own timer does not hold the process, so something else must.
      const hold = setTimeout(() => resolve(0), 5000);
      bus.subscribe({ name: "free", subscriptions: { "l1.read.finished": () => clearTimeout(hold) } });
    });
    expect(count).toBe(1);
  });
});
