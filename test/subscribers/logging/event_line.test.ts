import { expect, test } from "bun:test";
import { EventBus } from "../../../src/events/bus.ts";
import { componentSubscriber, on } from "../../../src/subscribers/logging/event_line.ts";
import { OncePerMinute, Outages } from "../../../src/subscribers/logging/repetition.ts";
import { components } from "../../../src/subscribers/logging/lines.ts";
import { type Level, Log } from "../../../src/subscribers/logging/log.ts";

/** Where lines go, and those that were written. */
function sink(level: Level) {
  const lines: unknown[] = [];
  const write = (line: string) => lines.push(JSON.parse(line)) > 0;
  const log = new Log({ level, write, monotonicMs: () => 0 });
  return { lines, log, outages: new Outages(0), oncePerMinute: new OncePerMinute(), monotonicMs: () => 0 };
}

test("each component listens exactly to the events of its lines, and without debug to none that are for debug alone", () => {
  const forDebug = ["l1.removed", "lookup.finished", "sm.write.finished"];
  for (const component of components) {
    const heard = (level: Level) => Object.keys(componentSubscriber(component, sink(level)).subscriptions);
    const events: readonly string[] = component.lines.map(({ event }) => event);
    expect(heard("debug")).toEqual([...events]);
    expect(heard("info")).toEqual(events.filter((event) => !forDebug.includes(event)));
  }
});

test("no event makes lines of two components", () => {
  const events = components.flatMap(({ lines }) => lines.map(({ event }) => event));
  expect(new Set(events).size).toBe(events.length);
});

test("a new line is one entry: its event, level, message and fields, and how it is folded while something fails", async () => {
  const entry = on(
    "l2.delete.completed",
    ({ tier, outcome }) =>
      outcome === "error" ? ["warn", "a deletion failed", { tier }] : ["debug", "deleted", { tier }],
    {
      wants: "traced",
      outage: ({ tier, outcome, error = "" }) => ({
        kind: tier,
        state: outcome === "error" ? "fails" : "works",
        cause: error,
        over: ["deletions work again", { tier }],
      }),
    },
  );
  const into = sink("info");
  const subscriber = componentSubscriber({ component: "test", lines: [entry] }, into);
  expect([subscriber.name, subscriber.traced, subscriber.individual]).toEqual([
    "logging.test",
    ["l2.delete.completed"],
    [],
  ]);
  const bus = new EventBus({ schedule: () => () => {}, clock: { nowMs: () => 0, monotonicMs: () => 0 } });
  bus.subscribe(subscriber);
  const done = { tier: "fs", tenant: "", keys: 1, seconds: 0 } as const;
  for (let time = 0; time < 3; time++) bus.publish("l2.delete.completed", { ...done, outcome: "error", error: "EIO" });
  await bus.flush();
  bus.publish("l2.delete.completed", { ...done, outcome: "deleted" });
  await bus.flush();
  expect(into.lines).toMatchObject([
    { level: "warn", component: "test", message: "a deletion failed", tier: "fs", failures: 1 },
    { level: "info", component: "test", message: "deletions work again", tier: "fs", failures: 3 },
  ]);
});
