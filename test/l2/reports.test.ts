import { expect, test } from "bun:test";
import { reportRemoved, stateReport } from "../../src/l2/reports.ts";
import { key } from "./support.ts";

test("reportRemoved calls the listener for each object and publishes one event for each tenant", () => {
  const events: unknown[] = [];
  const removed: unknown[] = [];
  const objects = [
    { key: key("a"), bytes: 1 },
    { key: key("b", "t"), bytes: 2 },
    { key: key("c"), bytes: 4 },
  ];
  const options = {
    name: "s3",
    publish: (...event: unknown[]) => void events.push(event),
    onRemoved: (...args: unknown[]) => void removed.push(args),
  };
  reportRemoved(options, objects, "expired");
  expect(removed).toEqual(objects.map((each) => [each.key, "expired"]));
  expect(events).toEqual([
    ["l2.removed", { tier: "s3", tenant: "", reason: "expired", keys: 2, bytes: 5 }],
    ["l2.removed", { tier: "s3", tenant: "t", reason: "expired", keys: 1, bytes: 2 }],
  ]);
  reportRemoved(options, [], "expired");
  expect(events.length).toBe(2);
});

test("stateReport publishes when a tier becomes unusable or usable, and not when only the reason changes", () => {
  const events: unknown[] = [];
  const report = stateReport({ name: "s3", publish: (...event) => void events.push(event) });
  for (const trouble of [undefined, "down", "still down", undefined, undefined]) report(trouble);
  expect(events).toEqual([
    ["l2.state.changed", { tier: "s3", state: "unusable", cause: "down" }],
    ["l2.state.changed", { tier: "s3", state: "usable", cause: "" }],
  ]);
});
