import { expect, test } from "bun:test";
import { catalogue } from "../../../src/events/catalogue.ts";
import { typesOf } from "../../../src/events/live/wanted_events.ts";
import { eventNames } from "../../../src/events/schema.ts";

test("typesOf gives every type when there is no glob", () => {
  expect(typesOf([])).toEqual(eventNames);
});

test("typesOf gives the types that some glob fits, once and in the catalogue's order, when there are several", () => {
  expect(typesOf(["l1.lease.*", "http.request.start", "*.lease.expired", "l1.*.expired"])).toEqual([
    "http.request.start",
    "l1.lease.expired",
  ]);
  expect(typesOf(["*"])).toEqual(eventNames);
});

test("typesOf takes nothing but * as special when a glob holds characters that patterns use", () => {
  for (const glob of ["l1?lease.expired", "l1.lease.expire.", "(l1.removed)", "l1.removed|l2.removed", "[a-z]*", ""]) {
    expect(() => typesOf([glob])).toThrow(`no such event: ${glob}`);
  }
});

test("typesOf leaves out types without a tenant when one is wanted, and refuses when none is left", () => {
  const types = typesOf(["l1.*"], "a");
  expect(types).toContain("l1.removed");
  expect(types).not.toContain("l1.lease.expired");
  expect(() => typesOf(["l1.lease.*"], "a")).toThrow("no event carries one");
});

test("no event's field has a name that its record has already when the catalogue is read", () => {
  const taken = new Set(["id", "name", "time", "count", "folded"]);
  expect(eventNames.filter((name) => Object.keys(catalogue[name].fields).some((field) => taken.has(field)))).toEqual(
    [],
  );
  expect(eventNames.map(String)).not.toContain("lost");
});
