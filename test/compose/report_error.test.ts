import { expect, test } from "bun:test";
import { reportError } from "../../src/compose/report_error.ts";
import { VitrineError } from "../../src/core/errors.ts";

test("reportError prints a failure of ours as one line with its causes, and any other error as it is", () => {
  const printed: unknown[] = [];
  const line = (value: unknown) => printed.push(value);
  const bug = new TypeError("undefined is not a function");
  const cause = new VitrineError("tier_failed", "load from tier: wrong checksum from fs");
  reportError(new VitrineError("tier_failed", "read object: its load failed half-way", { cause }), line);
  reportError(bug, line);
  expect(printed).toEqual([
    "vitrine: read object: its load failed half-way: load from tier: wrong checksum from fs",
    bug,
  ]);
});
