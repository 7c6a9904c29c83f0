import { expect, test } from "bun:test";
import fc from "fast-check";
import { catalogue, eventNames } from "../../../src/events/catalogue.ts";
import { globMatches, typesOf } from "../../../src/events/live/live_listener.ts";
test("typesOf gives every type when there is no glob", () => {
  expect(typesOf([])).toEqual(eventNames);
});

test("typesOf gives the types that some glob fits, once and in the catalogue's order, when there are several", () => {
  expect(typesOf(["l1.lease.*", "http.request.start", "*.lease.expired", "l1.l*.expired"])).toEqual([
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

test("typesOf refuses at once what would keep a pattern busy, and more or longer globs than it takes", () => {
  expect(() => typesOf([`${"*".repeat(25)}!`])).toThrow("no such event");
  expect(() => typesOf(["*a".repeat(64)])).toThrow("no such event");
  expect(typesOf(Array<string>(256).fill("*".repeat(128)))).toEqual(eventNames);
  expect(() => typesOf(Array<string>(257).fill("*"))).toThrow("more than 256");
  expect(() => typesOf(["*".repeat(129)])).toThrow("longer than 128 characters");
});

test("globMatches takes no character for two parts", () => {
  expect([globMatches("*ab*ab*", "ab"), globMatches("*a*a*", "a"), globMatches("*a*a*", "aa")]).toEqual([
    false,
    false,
    true,
  ]);
});

test("globMatches agrees with the obvious recursion", () => {
  const slow = (glob: string, text: string): boolean => {
    if (glob === "") return text === "";
    if (glob[0] !== "*") return glob[0] === text[0] && slow(glob.slice(1), text.slice(1));
    return slow(glob.slice(1), text) || (text !== "" && slow(glob, text.slice(1)));
  };
  const word = (characters: readonly string[]) => fc.string({ unit: fc.constantFrom(...characters), maxLength: 7 });
  fc.assert(
    fc.property(word(["a", "b", "*"]), word(["a", "b"]), (glob, text) => globMatches(glob, text) === slow(glob, text)),
  );
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
