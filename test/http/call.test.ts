import { expect, test } from "bun:test";
import { Call } from "../../routes/call.ts";

/** A call that began at 1000 ms, on a clock that is set by hand. */
function begun() {
  const clock = { ms: 1000, nowMs: () => clock.ms, monotonicMs: () => clock.ms };
  const call = new Call("GET", { template: "/v1/objects/{key}", parameter: "a", hasQuery: false }, {
    route: "/v1/objects/{key}",
    publish: () => {},
    clock,
    context: {},
    followed: undefined,
    onOver: () => {},
    onEndless: () => {},
  });
  return { call, clock };
}

test("Call.serverTiming tells L1's share, each tier's time and the total when tiers were asked", () => {
  const { call, clock } = begun();
  call.asked("fs", { startMs: 1000.25, seconds: 0.0025 });
  call.asked("s3", { startMs: 1002.75, seconds: 0.1 });
  clock.ms = 1103.5;
  expect(call.serverTiming()).toBe("l1;dur=0.25, fs;dur=2.5, s3;dur=100, total;dur=103.5");
});

test("Call.serverTiming tells that all of the time was L1's when L1 answered, and only the total when another request's load did", () => {
  const { call, clock } = begun();
  clock.ms = 1000.05;
  expect([call.serverTiming(true), call.serverTiming()]).toEqual(["l1;dur=0.05, total;dur=0.05", "total;dur=0.05"]);
});

test("Call.serverTiming stays short when tiers are asked again and again", () => {
  const { call } = begun();
  for (let time = 0; time < 1000; time++) call.asked("fs", { startMs: 1000, seconds: 0.0025 });
  expect(call.serverTiming().length).toBeLessThan(1100);
});
