import { expect, test } from "bun:test";
import { EventBus } from "../../../src/events/bus.ts";
import { loggingSubscribers } from "../../../src/subscribers/logging/mod.ts";

/** A bus with the subscriber, and the lines it wrote. */
function logging() {
  const clock = { ms: 0, nowMs: () => clock.ms, monotonicMs: () => clock.ms };
  const bus = new EventBus({ schedule: () => () => {}, clock });
  const lines: { readonly message: string; readonly reason?: string; readonly address?: string }[] = [];
  const { subscribers } = loggingSubscribers({
    ...clock,
    level: "info",
    write: (line) => lines.push(JSON.parse(line)) > 0,
    every: () => () => {},
  });
  for (const subscriber of subscribers) bus.subscribe(subscriber);
  const refuse = async (reason: "missing" | "unknown" | "forbidden", address: string) => {
    bus.publish("access.refused", { reason, route: "/status", method: "GET", address });
    await bus.flush();
  };
  return { bus, clock, lines, refuse };
}

test("the log tells of an address once for each reason and minute, and not of requests without credentials", async () => {
  const { clock, lines, refuse } = logging();
  for (let i = 0; i < 10; i++) {
    for (const address of ["a", "b"]) {
      for (const reason of ["missing", "unknown"] as const) await refuse(reason, address);
    }
  }
  await refuse("forbidden", "a");
  expect(lines.map(({ reason, address }) => [reason, address])).toEqual([
    ["unknown", "a"],
    ["unknown", "b"],
    ["forbidden", "a"],
  ]);
  clock.ms = 60_000;
  await refuse("unknown", "a");
  expect(lines.length).toBe(4);
});

test("the log tells of tokens that were read again, and why a file cannot be used", async () => {
  const { bus, lines } = logging();
  bus.publish("access.tokens.changed", { outcome: "loaded", tokens: 3 });
  bus.publish("access.tokens.changed", { outcome: "failed", tokens: 0, error: "read tokens from t: line 3: not JSON" });
  await bus.flush();
  expect(lines).toMatchObject([
    { level: "info", component: "access", tokens: 3 },
    { level: "error", component: "access", error: "read tokens from t: line 3: not JSON" },
  ]);
});

test("the log tells of a limit once for each tenant and minute", async () => {
  const { bus, clock, lines } = logging();
  const reach = async (limit: "tenant_rate" | "transfer", tenant: string) => {
    bus.publish("limit.reached", { limit, route: "/v1/objects/{key}", method: "GET", tenant, token: "ci" });
    await bus.flush();
  };
  for (let i = 0; i < 5; i++) {
    await reach("tenant_rate", "a");
    await reach("tenant_rate", "b");
  }
  await reach("transfer", "a");
  expect(lines).toMatchObject([
    { level: "warn", message: "a limit was reached", limit: "tenant_rate", tenant: "a", token: "ci" },
    { limit: "tenant_rate", tenant: "b" },
    { limit: "transfer", tenant: "a" },
  ]);
  clock.ms = 60_000;
  await reach("transfer", "a");
  expect(lines.length).toBe(4);
});
