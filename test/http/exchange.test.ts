import { expect, test } from "bun:test";
import { Exchange } from "../../routes/exchange.ts";

/** An exchange that began at 1000 ms, on a clock that is set by hand. */
function begun() {
  const clock = { ms: 1000, nowMs: () => clock.ms, monotonicMs: () => clock.ms };
  const shared = { publish: () => {}, clock, onOver: () => {}, onEndless: () => {} };
  const request = { method: "GET", route: "/v1/objects/{key}", path: "/v1/objects/a", context: {} };
  return { exchange: new Exchange(shared, request), clock };
}

test("Exchange.serverTiming tells L1's share, each tier's time and the total when tiers were asked", () => {
  const { exchange, clock } = begun();
  exchange.asked("fs", { startMs: 1000.25, seconds: 0.0025 });
  exchange.asked("s3", { startMs: 1002.75, seconds: 0.1 });
  clock.ms = 1103.5;
  expect(exchange.serverTiming()).toBe("l1;dur=0.25, fs;dur=2.5, s3;dur=100, total;dur=103.5");
});

test("Exchange.serverTiming tells that all of the time was L1's when L1 answered, and only the total when another request's load did", () => {
  const { exchange, clock } = begun();
  clock.ms = 1000.05;
  expect([exchange.serverTiming(true), exchange.serverTiming()]).toEqual([
    "l1;dur=0.05, total;dur=0.05",
    "total;dur=0.05",
  ]);
});

test("Exchange.serverTiming stays short when tiers are asked again and again", () => {
  const { exchange } = begun();
  for (let time = 0; time < 1000; time++) exchange.asked("fs", { startMs: 1000, seconds: 0.0025 });
  expect(exchange.serverTiming().length).toBeLessThan(1100);
});
