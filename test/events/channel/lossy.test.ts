import { expect, test } from "bun:test";
import fc from "fast-check";
import { brokenIdentities, Fixture, READ, recorder } from "./fixture.ts";
import type { Fate } from "./lossy_net.ts";

const fate = fc.constantFrom<Fate>("deliver", "deliver", "drop", "twice", "later");
const step = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      read: fc.boolean(),
      producer: fc.nat({ max: 1 }),
      events: fc.integer({ min: 1, max: 12 }),
    }),
  },
  { weight: 5, arbitrary: fc.constant("deliver" as const) },
  { weight: 3, arbitrary: fc.record({ elapsedMs: fc.integer({ min: 1, max: 150 }) }) },
  { weight: 1, arbitrary: fc.constantFrom("detail" as const, "folded" as const) },
);
const limits = fc.record({
  queueSize: fc.integer({ min: 0, max: 6 }),
  batchSize: fc.integer({ min: 1, max: 4 }),
  window: fc.integer({ min: 1, max: 4 }),
});

test("CollectorHub counts every event exactly when the channel loses, repeats and reorders messages", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(step, { minLength: 20, maxLength: 120 }),
      fc.infiniteStream(fate),
      limits,
      fc.boolean(),
      async (
        steps,
        fates,
        limits,
        informed,
      ) => {
        const fixture = new Fixture();
        const { hub, net, time } = fixture;
        const { seen, subscriber } = recorder(["l1.removed"]);
        hub.subscribe(subscriber);
        const producers = [fixture.producer("1.1", limits), fixture.producer("2.1", limits)];
        if (informed) await fixture.calm(2);
        let stopDetail = () => {};
        const sent = { "l1.read.finished": 0, "l1.removed": 0 };
        for (const step of steps) {
          if (step === "deliver") await net.deliver(fates);
          else if (step === "detail") stopDetail = hub.subscribe(recorder(["l1.read.finished"]).subscriber);
          else if (step === "folded") stopDetail();
          else if ("elapsedMs" in step) await time.advance(step.elapsedMs);
          else {
            for (let event = 0; event < step.events; event++) {
              if (step.read) producers[step.producer]?.publish("l1.read.finished", READ);
              else producers[step.producer]?.publish("l1.removed", { ...READ, reason: "quota" });
            }
            sent[step.read ? "l1.read.finished" : "l1.removed"] += step.events;
          }
          expect(brokenIdentities(hub)).toEqual([]);
        }
        await fixture.calm();
        expect(await fixture.during(hub.flush())).toEqual([]);
        for (const name of ["l1.read.finished", "l1.removed"] as const) {
          const events = seen.filter((event) => event.name === name);
          expect(events.reduce((sum, { count }) => sum + count, 0)).toBe(sent[name]);
          expect(events.reduce((sum, event) => sum + ("bytes" in event ? event.bytes : 0), 0)).toBe(sent[name] * 10);
          expect(hub.stats().events.get(name)).toMatchObject({ published: sent[name], lost: 0, pending: 0 });
        }
        expect(hub.stats()).toMatchObject({ depth: 0, lagSeconds: 0 });
      },
    ),
    { numRuns: 60 },
  );
});

test("CollectorHub states exactly what was lost when producers die at random points", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(step, { maxLength: 80 }),
      fc.infiniteStream(fate),
      limits,
      fc.boolean(),
      async (steps, fates, limits, informed) => {
        const fixture = new Fixture();
        const { hub, net, time } = fixture;
        const { seen, subscriber } = recorder(["l1.removed"]);
        hub.subscribe(subscriber);
        const producer = fixture.producer("1.1", limits);
        if (informed) await fixture.calm(2);
        let sent = 0;
        for (const step of steps) {
          if (step === "deliver") await net.deliver(fates);
          else if (typeof step === "string") continue;
          else if ("elapsedMs" in step) await time.advance(step.elapsedMs);
          else {
            for (let event = 0; event < step.events; event++) {
              producer.publish("l1.removed", { ...READ, reason: "quota" });
            }
            sent += step.events;
          }
        }
        const arrived = seen.reduce((sum, { count }) => sum + count, 0);
        await fixture.during(hub.producerGone("1.1"));
        const counts = hub.stats().events.get("l1.removed");
        const got = seen.reduce((sum, { count }) => sum + count, 0);
        expect(counts?.published).toBe(sent);
        expect(counts?.lost).toBe(sent - got);
        expect((counts?.delivered ?? 0) + (counts?.rolledUp ?? 0)).toBe(got);
        expect(got).toBeGreaterThanOrEqual(arrived);
        // The dead do not speak: what is still under way, or said again, counts nothing.
        await fixture.calm();
        expect(hub.stats().events.get("l1.removed")).toEqual(counts);
        expect(brokenIdentities(hub)).toEqual([]);
      },
    ),
    { numRuns: 60 },
  );
});
