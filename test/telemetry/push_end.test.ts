import { diag } from "@opentelemetry/api";
import { expect, test } from "bun:test";
import { causeText } from "../../src/core/errors.ts";
import { listenToExporters, pushEnd } from "../../src/telemetry/push/push_end.ts";

const FAILED = 1;
const textOf = (error: Error | undefined): string =>
  causeText(pushEnd(error ? { code: FAILED, error } : { code: FAILED }).error);

test("pushEnd names the status of an answer, and keeps the text of a failure without one", () => {
  expect(textOf(Object.assign(new Error("Bad Request"), { code: 400 }))).toBe("the collector answered 400 Bad Request");
  expect(textOf(Object.assign(new Error(""), { code: 401 }))).toBe("the collector answered 401");
  expect(textOf(Object.assign(new Error("refused"), { code: "ECONNREFUSED" }))).toContain("refused");
  expect(textOf(undefined)).toBe("push: the collector did not take it");
});

test("pushEnd tells what a partial success said, once", () => {
  listenToExporters();
  const answers = {
    '{"rejectedSpans":"3","errorMessage":"too old"}': { items: 3, message: "too old" },
    '{"rejectedSpans":2}': { items: 2, message: "" },
    '{"errorMessage":"fine, but"}': { items: 0, message: "fine, but" },
    "{}": undefined,
  };
  for (const [json, rejected] of Object.entries(answers)) {
    diag.warn("Received Partial Success response:", json);
    expect(pushEnd({ code: 0 }).rejected).toEqual(rejected);
    expect(pushEnd({ code: 0 })).toEqual({});
  }
  diag.disable();
});
