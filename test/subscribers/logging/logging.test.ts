import { expect, test } from "bun:test";
import { EventBus } from "../../../src/events/bus.ts";
import type { Level } from "../../../src/subscribers/logging/level.ts";
import { lineOutput } from "../../../src/subscribers/logging/line_output.ts";
import type { LogEntry } from "../../../src/subscribers/logging/log.ts";
import { loggingSubscribers } from "../../../src/subscribers/logging/mod.ts";

const TRACE = "0af7651916cd43dd8448eb211c80319c";
const REQUEST = `00-${TRACE}-b7ad6b7169203331-01`;
const END = {
  route: "/v1/objects/{key}",
  method: "GET",
  status: "200",
  outcome: "complete",
  seconds: 0.5,
  requestBytes: 0,
  responseBytes: 10,
} as const;
const FAILED = { tier: "fs", tenant: "", outcome: "failed", keys: 1, bytes: 0, seconds: 0.25 } as const;

/** A bus with the logging subscribers, and what they wrote. */
function logging(level: Level, { full = false }: { readonly full?: boolean } = {}) {
  const clock = { ms: 0, nowMs: () => clock.ms, monotonicMs: () => clock.ms };
  const bus = new EventBus({ schedule: () => () => {}, clock });
  const lines: unknown[] = [];
  const entries: LogEntry[] = [];
  const log = loggingSubscribers({
    level,
    write: (line) => {
      if (!full) lines.push(JSON.parse(line));
      return !full;
    },
    emit: (entry) => entries.push(entry),
    nowMs: () => clock.ms,
    every: () => () => {},
  });
  for (const subscriber of log.subscribers) bus.subscribe(subscriber);
  return { bus, clock, lines, entries, log };
}

test("loggingSubscribers write one JSON object a line with level, component, request and trace when a tier fails", async () => {
  const { bus, lines, entries } = logging("info");
  bus.publish("l2.store.completed", { ...FAILED, requestId: REQUEST });
  await bus.flush();
  expect(lines).toEqual([{
    time: "1970-01-01T00:00:00.000Z",
    level: "warn",
    component: "l2",
    message: "a tier failed to store",
    request_id: "b7ad6b7169203331",
    trace_id: TRACE,
    tier: "fs",
    tenant: "",
    outcome: "failed",
    keys: 1,
    seconds: 0.25,
  }]);
  expect(entries).toEqual([{
    timeMs: 0,
    level: "warn",
    message: "a tier failed to store",
    attributes: { component: "l2", tier: "fs", tenant: "", outcome: "failed", keys: 1, seconds: 0.25 },
    trace: { traceId: TRACE, spanId: "b7ad6b7169203331", sampled: true },
  }]);
});

test("loggingSubscribers name route and method of a failed request that is not followed, and its caller where that is known", async () => {
  const { bus, lines } = logging("info");
  bus.publish("http.request.end", { ...END, status: "503" });
  bus.publish("http.request.end", { ...END, status: "500", requestId: REQUEST.replace(/01$/, "00") });
  await bus.flush();
  const common = { component: "http", method: "GET", route: "/v1/objects/{key}", count: 1 };
  expect(lines).toMatchObject([
    { ...common, level: "error", status: 500, request_id: "b7ad6b7169203331", trace_id: TRACE },
    { ...common, level: "warn", status: 503 },
  ]);
});

/** Publishes one event for each kind of line. */
function publishAll(bus: EventBus): void {
  bus.publish("http.request.end", END);
  bus.publish("http.request.end", { ...END, status: "500" });
  bus.publish("http.request.end", { ...END, status: "503" });
  bus.publish("http.request.end", { ...END, outcome: "aborted" });
  bus.publish("l1.removed", { tenant: "", reason: "pressure", keys: 1, bytes: 1 });
  bus.publish("l1.lease.expired", { kind: "read", keys: 1 });
  bus.publish("l1.allocation.failed", { during: "l1_store", keys: 1, bytes: 1 });
  bus.publish("l1.read.failed", { during: "l2_store", reason: "not_found", keys: 1 });
  bus.publish("l2.lookup.completed", { tier: "fs", tenant: "", outcome: "hit", keys: 1, seconds: 1 });
  bus.publish("l2.load.completed", { ...FAILED, requestedBytes: 1 });
  bus.publish("l2.delete.completed", { tier: "fs", tenant: "", outcome: "error", keys: 1, seconds: 1 });
  bus.publish("l2.removed", { tier: "fs", tenant: "", reason: "corrupt", keys: 1, bytes: 1 });
  bus.publish("l2.removed", { tier: "fs", tenant: "", reason: "capacity", keys: 1, bytes: 1 });
  bus.publish("timeout.raised", { exceptionType: "l2_load" });
  bus.publish("worker.started", { place: "0" });
  bus.publish("worker.gone", { place: "0", cause: "hung" });
  bus.publish("worker.gone", { place: "0", cause: "stopped" });
  bus.publish("lookup.finished", { tenant: "", tier: "", result: "miss", reason: "unknown", keys: 1, bytes: 0 });
  bus.publish("sm.write.finished", { tenant: "", outcome: "stored", keys: 1, bytes: 1 });
}

const WARNINGS = [
  "a call was given up",
  "a request was refused",
  "a tier failed to delete",
  "a tier failed to load",
  "a worker is gone",
  "an object that was found could not be read",
  "bad objects were removed",
  "leases ran out",
  "no room in memory",
];
const DEBUGGING = [
  "a lookup was decided",
  "a request was answered",
  "a tier was called to lookup",
  "a write ended",
  "objects left a tier",
  "objects left memory",
];
const TELLING = ["a body broke off", "a worker has stopped", "a worker is ready"];
const written: readonly (readonly [Level, readonly string[]])[] = [
  ["error", ["a request failed"]],
  ["warn", ["a request failed", ...WARNINGS]],
  ["info", ["a request failed", ...WARNINGS, ...TELLING]],
  ["debug", ["a request failed", ...WARNINGS, ...TELLING, ...DEBUGGING]],
];

for (const [level, messages] of written) {
  test(`loggingSubscribers write what is as grave as the level when it is ${level}`, async () => {
    const { bus, entries } = logging(level);
    publishAll(bus);
    await bus.flush();
    expect(entries.map(({ message }) => message).toSorted()).toEqual([...messages].toSorted());
  });
}

test("loggingSubscribers want no single event of requests that are not followed unless the level is debug", () => {
  const wanted = (level: Level) => logging(level).log.subscribers.flatMap(({ detail = [] }) => detail);
  expect(wanted("info").filter((name) => name !== "lookup.finished" && name !== "sm.write.finished")).toEqual([]);
  expect(wanted("debug")).toContain("http.request.end");
});

test("Log keeps back all but five warnings of a kind in ten seconds, and tells how many with the next", async () => {
  const { bus, clock, lines, log } = logging("info");
  const fail = async (times: number) => {
    for (let time = 0; time < times; time++) {
      bus.publish("l2.store.completed", { ...FAILED, requestId: REQUEST });
    }
    bus.publish("l1.lease.expired", { kind: "read", keys: 1 });
    await bus.flush();
  };
  await fail(8);
  expect(lines.length).toBe(6);
  clock.ms = 9999;
  await fail(1);
  expect([lines.length, log.logLines()]).toEqual([7, { written: 7, suppressed: 4, lost: 0 }]);
  clock.ms = 10_000;
  await fail(1);
  expect(lines.slice(7)).toMatchObject([
    { message: "a tier failed to store", suppressed: 4 },
    { message: "a tier failed to store" },
    { message: "leases ran out" },
  ]);
});

test("Log tells what it kept back when it is closed", async () => {
  const { bus, lines } = logging("info");
  for (let time = 0; time < 7; time++) {
    bus.publish("l2.store.completed", { ...FAILED, requestId: REQUEST });
  }
  await bus.stop();
  expect([lines.length, lines.at(-1)]).toMatchObject([6, { suppressed: 2 }]);
});

test("Log counts a line as lost when there is no room for it, and still gives it to OpenTelemetry", async () => {
  const { bus, entries, log } = logging("info", { full: true });
  bus.publish("l1.lease.expired", { kind: "write", keys: 2 });
  await bus.flush();
  expect([entries.length, log.logLines()]).toEqual([1, { written: 0, suppressed: 0, lost: 1 }]);
});

test("lineOutput refuses lines when a mebibyte waits, when the stream is gone, and when it throws", () => {
  const texts: string[] = [];
  const stream = { write: (text: string) => texts.push(text), writableLength: 0, destroyed: false };
  const write = lineOutput(stream);
  expect(write("a")).toBe(true);
  stream.writableLength = 1024 * 1024 + 1;
  expect(write("b")).toBe(false);
  stream.writableLength = 0;
  stream.destroyed = true;
  expect(write("c")).toBe(false);
  const broken = lineOutput({
    write: () => {
      throw new Error("broken on purpose");
    },
  });
  expect(broken("d")).toBe(false);
  expect(texts).toEqual(["a\n"]);
});
