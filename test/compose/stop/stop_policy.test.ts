import { expect, test } from "bun:test";
import { StopPolicy, type StopSignal } from "../../../src/compose/stop/stop_policy.ts";

/** The policy's decision about each signal, given with its time in milliseconds. */
function meanings(...signals: readonly (readonly [number, StopSignal])[]): readonly string[] {
  let nowMs = 0;
  const policy = new StopPolicy(() => nowMs);
  return signals.map(([atMs, signal]) => {
    nowMs = 1000 + atMs;
    return policy.heard(signal);
  });
}

test("StopPolicy takes copies of Ctrl-C for nothing when a terminal and a task runner send them", () => {
  expect(meanings([0, "SIGINT"], [1, "SIGINT"], [2, "SIGINT"], [300, "SIGINT"])).toEqual([
    "stop",
    "nothing",
    "nothing",
    "nothing",
  ]);
});

test("StopPolicy forces a stop at an interrupt when the stop has lasted for five seconds", () => {
  expect(meanings([0, "SIGINT"], [4999, "SIGINT"])).toEqual(["stop", "nothing"]);
  expect(meanings([0, "SIGINT"], [5000, "SIGINT"])).toEqual(["stop", "force"]);
  expect(meanings([0, "SIGTERM"], [6000, "SIGINT"])).toEqual(["stop", "force"]);
});

test("StopPolicy forces nothing when a copy of an earlier interrupt comes after the five seconds", () => {
  expect(meanings([0, "SIGTERM"], [4999, "SIGINT"], [5001, "SIGINT"])).toEqual(["stop", "nothing", "nothing"]);
});

test("StopPolicy forces a stop when somebody presses Ctrl-C without a pause", () => {
  const presses = Array.from({ length: 12 }, (_, i) => [i * 500, "SIGINT"] as const);
  expect(meanings(...presses).indexOf("force")).toBe(10);
});

for (const signal of ["SIGTERM", "SIGHUP", "SIGQUIT"] as const) {
  test(`StopPolicy never forces a stop when ${signal} is repeated`, () => {
    expect(meanings([0, signal], [6000, signal], [60_000, signal])).toEqual(["stop", "nothing", "nothing"]);
  });
}
