import { expect, test } from "bun:test";
import { EventBus } from "../../../src/events/bus.ts";
import { type Level, lineOutput } from "../../../src/subscribers/logging/log.ts";
import { loggingSubscribers } from "../../../src/subscribers/logging/mod.ts";
import type { LogEntry } from "../../../src/telemetry/mod.ts";

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
  const clock = { ms: 0, stepMs: 0, nowMs: () => clock.ms + clock.stepMs, monotonicMs: () => clock.ms };
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
    nowMs: () => clock.nowMs(),
    monotonicMs: () => clock.ms,
    every: () => () => {},
  });
  for (const subscriber of log.subscribers) bus.subscribe(subscriber);
  return { bus, clock, lines, entries, log };
}

test("loggingSubscribers write one JSON object a line with level, component, request and trace when a tier fails", async () => {
  const { bus, lines, entries } = logging("info");
  bus.publish("l2.store.completed", { ...FAILED, error: "store: ENOSPC", requestId: REQUEST });
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
    error: "store: ENOSPC",
    failures: 1,
  }]);
  expect(entries).toEqual([{
    timeMs: 0,
    level: "warn",
    message: "a tier failed to store",
    attributes: {
      component: "l2",
      tier: "fs",
      tenant: "",
      outcome: "failed",
      keys: 1,
      seconds: 0.25,
      error: "store: ENOSPC",
      failures: 1,
    },
    trace: { traceId: TRACE, spanId: "b7ad6b7169203331", sampled: true },
  }]);
});

test("loggingSubscribers name route and method of a failed request that is not traced, and its caller where that is known", async () => {
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
  bus.publish("worker.started", { slot: "0" });
  bus.publish("worker.gone", { slot: "0", cause: "hung" });
  bus.publish("worker.gone", { slot: "0", cause: "stopped" });
  bus.publish("worker.stuck", { slot: "0" });
  bus.publish("storage_thread.started", { thread: "storage" });
  bus.publish("storage_thread.stuck", { thread: "storage" });
  bus.publish("storage_thread.resumed", { thread: "storage", seconds: 8 });
  bus.publish("storage_thread.gone", { thread: "storage", cause: "threw", error: "on purpose" });
  bus.publish("l2.cleanup_failed", { tier: "fs", error: "remove: EBUSY" });
  bus.publish("lookup.finished", { tenant: "", tier: "", result: "miss", reason: "unknown", keys: 1, bytes: 0 });
  bus.publish("sm.write.finished", { tenant: "", outcome: "stored", keys: 1, bytes: 1 });
}

const WARNINGS = [
  "a call timed out",
  "a request was refused",
  "a tier failed to delete",
  "a tier failed to load",
  "a tier failed to clean up",
  "a worker is gone",
  "an object that was found could not be read",
  "bad objects were removed",
  "leases expired",
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
const TELLING = [
  "a body was cut short",
  "a worker has stopped",
  "a worker is ready",
  "the storage thread runs again",
  "the storage thread is ready",
];
const ERRORS = [
  "a request failed",
  "a worker's thread cannot be ended: restart the process",
  "the storage thread has ended and is started again",
  "the storage thread hangs: its disk does not respond, or is very slow",
];
const written: readonly (readonly [Level, readonly string[]])[] = [
  ["error", ERRORS],
  ["warn", [...ERRORS, ...WARNINGS]],
  ["info", [...ERRORS, ...WARNINGS, ...TELLING]],
  ["debug", [...ERRORS, ...WARNINGS, ...TELLING, ...DEBUGGING]],
];

for (const [level, messages] of written) {
  test(`loggingSubscribers write what is as grave as the level when it is ${level}`, async () => {
    const { bus, entries } = logging(level);
    publishAll(bus);
    await bus.flush();
    expect(entries.map(({ message }) => message).toSorted()).toEqual([...messages].toSorted());
  });
}

test("loggingSubscribers tell why and for how long when the storage thread ends or has stood still", async () => {
  const { bus, lines } = logging("info");
  bus.publish("storage_thread.resumed", { thread: "storage", seconds: 8.25 });
  bus.publish("storage_thread.gone", { thread: "storage", cause: "threw", error: "write: EIO" });
  await bus.flush();
  expect(lines).toHaveLength(2);
  expect(lines).toContainEqual(expect.objectContaining({ level: "info", seconds: 8.25 }));
  expect(lines).toContainEqual(expect.objectContaining({ level: "error", cause: "threw", error: "write: EIO" }));
});

test("loggingSubscribers want no single event of requests that are not traced unless the level is debug", () => {
  const wanted = (level: Level) => logging(level).log.subscribers.flatMap(({ individual = [] }) => individual);
  const perRequest = ["lookup.finished", "sm.write.finished"];
  expect(wanted("info").filter((name) => !perRequest.includes(name))).toEqual([
    "access.refused",
    "limit.reached",
    "access.tokens.changed",
    "tls.certificate.changed",
    "access.keys.changed",
    "quota.changed",
    "l2.state.changed",
    "l2.damaged",
  ]);
  expect(wanted("debug")).toContain("http.request.end");
});

test("Log keeps back all but five warnings of a kind in ten seconds, and tells how many with the next", async () => {
  const { bus, clock, lines, log } = logging("info");
  const fail = async (times: number) => {
    for (let time = 0; time < times; time++) {
      bus.publish("http.request.end", { ...END, status: "503", error: "because" });
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
    { message: "a request was refused", suppressed: 4 },
    { message: "a request was refused", error: "because" },
    { message: "leases expired" },
  ]);
});

test("Log lets warnings pass again ten seconds later when wall time was set back by an hour", async () => {
  const { bus, clock, lines } = logging("info");
  const refuse = async () => {
    for (let time = 0; time < 6; time++) bus.publish("http.request.end", { ...END, status: "503", error: "because" });
    await bus.flush();
  };
  await refuse();
  clock.stepMs = -3_600_000;
  clock.ms = 10_000;
  await refuse();
  // Five each, and one that tells what was kept back.
  expect(lines.length).toBe(11);
});

test("loggingSubscribers tell a tier's failure once, again where the cause is another or a minute has passed, and that the tier works again", async () => {
  const { bus, clock, lines } = logging("info");
  const store = async (ms: number, error?: string) => {
    clock.ms = ms;
    const ok = { ...FAILED, outcome: "ok" } as const;
    bus.publish("l2.store.completed", error === undefined ? ok : { ...FAILED, error });
    await bus.flush();
  };
  await store(0);
  for (const ms of [1, 2, 3]) await store(ms, "ENOSPC");
  await store(10_004, "EROFS");
  await store(10_005, "EROFS");
  await store(70_004, "EROFS");
  // Added up before the failure, perhaps.
  await store(70_005);
  // Says nothing of the tier.
  clock.ms = 75_004;
  bus.publish("l2.store.completed", { ...FAILED, outcome: "aborted" });
  await bus.flush();
  expect(lines).toHaveLength(3);
  await store(75_004);
  await store(75_005);
  expect(lines).toMatchObject([
    { level: "warn", message: "a tier failed to store", error: "ENOSPC", failures: 1 },
    { level: "warn", message: "a tier failed to store", error: "EROFS", failures: 3 },
    { level: "warn", message: "a tier failed to store", error: "EROFS", failures: 2 },
    { level: "info", message: "a tier works again", tier: "fs", op: "store", failures: 6 },
  ]);
});

test("loggingSubscribers tell how pushes fail, what is rejected, and that they arrive again", () => {
  const { lines, log } = logging("info");
  const error = new Error("connect ECONNREFUSED");
  for (let time = 0; time < 3; time++) log.pushed("logs", { error });
  log.pushed("logs", {});
  log.pushed("logs", {});
  log.pushed("traces", { rejected: { items: 2, message: "too old" } });
  log.pushed("traces", { rejected: { items: 2, message: "too old" } });
  log.setting({ variable: "OTEL_X", value: "a", used: "b" });
  expect(lines).toMatchObject([
    {
      component: "telemetry",
      level: "warn",
      message: "a push did not arrive at the collector",
      signal: "logs",
      error: error.message,
    },
    { level: "info", message: "pushes arrive at the collector again", signal: "logs", failures: 3 },
    {
      level: "warn",
      message: "the collector did not take all of a push",
      signal: "traces",
      error: "too old",
      rejected: 2,
    },
    { level: "warn", message: "a setting cannot be used", variable: "OTEL_X", value: "a", used: "b" },
  ]);
});

test("Log tells what it kept back when it is closed", async () => {
  const { bus, lines } = logging("info");
  for (let time = 0; time < 7; time++) bus.publish("http.request.end", { ...END, status: "503", error: "because" });
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

test("loggingSubscribers tell as an error with its cause that a tier cannot be used, and that it can be used again", async () => {
  const { bus, lines } = logging("info");
  bus.publish("l2.state.changed", { tier: "fs", state: "unusable", cause: "/data has gone" });
  bus.publish("l2.state.changed", { tier: "fs", state: "usable", cause: "" });
  await bus.flush();
  expect(lines).toMatchObject([
    { level: "error", message: "a tier cannot be used", tier: "fs", cause: "/data has gone" },
    { level: "info", message: "a tier can be used again", tier: "fs" },
  ]);
});

test("loggingSubscribers tell once with its cause that a tier cannot clean up", async () => {
  const { bus, lines } = logging("info");
  for (let i = 0; i < 3; i++) bus.publish("l2.cleanup_failed", { tier: "fs", error: "unlink: EPERM" });
  await bus.flush();
  expect(lines).toMatchObject([{
    level: "warn",
    message: "a tier failed to clean up",
    tier: "fs",
    error: "unlink: EPERM",
  }]);
});
