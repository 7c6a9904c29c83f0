import { expect, test } from "bun:test";
import { errorLine } from "../../src/core/error_line.ts";

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
  test(`errorLine gives one line when ${when}`, () => expect(errorLine(error)).toBe(line));
}
