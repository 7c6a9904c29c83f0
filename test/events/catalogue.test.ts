import { expect, test } from "bun:test";
import { catalogue, type EventMap, eventNames, schemaOf } from "../../src/events/catalogue.ts";
test("catalogue has at most one histogram per event, with ascending bounds", () => {
  for (const name of eventNames) {
    const histograms = Object.values(catalogue[name].fields).filter((field) => field.kind === "histogram");
    expect(histograms.length).toBeLessThanOrEqual(1);
    const { bounds } = schemaOf(name);
    expect(bounds).toEqual([...new Set(bounds)].toSorted((a, b) => a - b));
  }
});

test("catalogue uses no field name that the bus adds to every event", () => {
  for (const name of eventNames) {
    for (const reserved of ["name", "timeMs", "count", "folded"]) {
      expect(catalogue[name].fields).not.toHaveProperty(reserved);
    }
  }
});

test("EventMap refuses a label value that is not in the catalogue", () => {
  const removed: EventMap["l1.removed"] = { tenant: "", reason: "expired", keys: 1, bytes: 1 };
  // @ts-expect-error: the set of reasons is closed
  const wrong: EventMap["l1.removed"] = { ...removed, reason: "boredom" };
  expect(wrong.keys).toBe(removed.keys);
});
