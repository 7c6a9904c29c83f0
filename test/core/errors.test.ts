import { expect, test } from "bun:test";
import { causeText } from "../../src/core/errors.ts";

test("causeText lists the causes, outermost first, with the system's code, in one line without credentials", () => {
  const full = Object.assign(new Error("no space left\non device"), { code: "ENOSPC" });
  const error = new Error("store in tier: fs", { cause: new Error("write http://user:pw@host/x", { cause: full }) });
  expect(causeText(error)).toBe("store in tier: fs: write http://***@host/x: no space left on device (ENOSPC)");
});

test("causeText handles errors without a message, several errors, a string and a cycle", () => {
  const circle = new Error("round");
  circle.cause = circle;
  const several = new AggregateError([new Error("connect ECONNREFUSED")], "");
  expect([several, "why", undefined, circle].map(causeText)).toEqual([
    "AggregateError: connect ECONNREFUSED",
    "why",
    "",
    "round",
  ]);
  expect(causeText(new Error("x".repeat(9999))).length).toBe(500);
});

const cases: readonly (readonly [string, unknown, string])[] = [
  ["the message has several lines", new Error("one\n  two"), "one two"],
  ["a cause says more", new Error("open tier", { cause: new Error("EACCES") }), "open tier: EACCES"],
  [
    "the message has its cause already",
    new Error("open tier: EACCES", { cause: new Error("EACCES") }),
    "open tier: EACCES",
  ],
  ["there is no message", new RangeError(""), "RangeError"],
  ["it is no error", "text", "text"],
];
for (const [when, error, line] of cases) {
  test(`causeText gives one line when ${when}`, () => expect(causeText(error)).toBe(line));
}
