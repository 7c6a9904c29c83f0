import { expect, test } from "bun:test";
import { EventBus } from "../../src/events/bus.ts";
import { tracingSubscribers } from "../../src/subscribers/tracing.ts";
import type { FinishedSpan } from "../../src/telemetry/mod.ts";

const TRACE = "0af7651916cd43dd8448eb211c80319c";
const SPAN = "b7ad6b7169203331";
const REQUEST = `00-${TRACE}-${SPAN}-01`;
const UNSAMPLED = `00-${TRACE}-${SPAN}-00`;
const GET = { route: "/v1/objects/{key}", method: "GET" } as const;
const END = { ...GET, status: "200", outcome: "complete", seconds: 0.009, requestBytes: 0, responseBytes: 10 } as const;

/** A bus with the tracing subscribers, a clock that is set by hand, and the spans they made. */
function tracing() {
  const clock = { ms: 1000, nowMs: () => clock.ms, monotonicMs: () => clock.ms };
  const bus = new EventBus({ schedule: () => () => {}, clock });
  const spans: FinishedSpan[] = [];
  const { subscribers, correlations } = tracingSubscribers((span) => spans.push(span));
  for (const subscriber of subscribers) bus.subscribe(subscriber);
  return { bus, clock, spans, correlations };
}

test("RequestTracing makes a child of the caller's span with the events' own times when a request ends", async () => {
  const { bus, clock, spans, correlations } = tracing();
  bus.publish("http.request.start", { ...GET, requestId: REQUEST, traceParent: `00-${TRACE}-00f067aa0ba902b7-01` });
  clock.ms = 1002;
  const lookup = { tenant: "t", tier: "fs", result: "hit", reason: "", keys: 1, bytes: 10 } as const;
  bus.publish("lookup.finished", { ...lookup, requestId: REQUEST });
  await bus.flush();
  expect(correlations().get("tracing.requests")).toEqual({ pending: 1, dropped: 0 });
  clock.ms = 1009;
  bus.publish("http.request.end", { ...END, requestId: REQUEST, tenant: "t", headersMs: "2.5" });
  await bus.flush();
  expect(spans).toEqual([{
    name: "GET /v1/objects/{key}",
    kind: "server",
    traceId: TRACE,
    spanId: SPAN,
    parentSpanId: "00f067aa0ba902b7",
    startMs: 1000,
    endMs: 1009,
    attributes: {
      "http.request.method": "GET",
      "http.route": "/v1/objects/{key}",
      "http.response.status_code": 200,
      "http.request.body.size": 0,
      "http.response.body.size": 10,
      "vitrine.tenant": "t",
      "vitrine.outcome": "complete",
    },
    events: [
      {
        name: "lookup",
        timeMs: 1002,
        attributes: {
          "vitrine.tier": "fs",
          "vitrine.result": "hit",
          "vitrine.reason": "",
          "vitrine.bytes": 10,
          "vitrine.tenant": "t",
        },
      },
      { name: "headers", timeMs: 1002.5, attributes: {} },
    ],
    failed: false,
  }]);
  expect(correlations().get("tracing.requests")).toEqual({ pending: 0, dropped: 0 });
});

test("RequestTracing takes along what went wrong in L1 and which call timed out", async () => {
  const { bus, spans } = tracing();
  bus.publish("http.request.start", { ...GET, requestId: REQUEST });
  bus.publish("l1.allocation.failed", { during: "l2_prefetch", keys: 1, bytes: 9, requestId: REQUEST });
  bus.publish("l1.read.failed", { during: "l1_retrieve", reason: "not_found", keys: 1, requestId: REQUEST });
  bus.publish("timeout.raised", { exceptionType: "l2_lookup", requestId: REQUEST });
  bus.publish("http.request.end", { ...END, requestId: REQUEST });
  await bus.flush();
  expect(spans.flatMap(({ events = [] }) => events).map(({ name, attributes }) => [name, attributes])).toEqual([
    ["l1.allocation.failed", { "vitrine.during": "l2_prefetch", "vitrine.bytes": 9 }],
    ["l1.read.failed", { "vitrine.during": "l1_retrieve", "vitrine.reason": "not_found" }],
    ["timeout.raised", { "vitrine.call": "l2_lookup" }],
  ]);
});

test("RequestTracing goes by the duration when the start has been shed, and marks server errors and broken bodies as failed", async () => {
  const { bus, clock, spans } = tracing();
  clock.ms = 2000;
  bus.publish("http.request.end", { ...END, status: "503", seconds: 0.5, requestId: REQUEST });
  bus.publish("http.request.end", { ...END, outcome: "aborted", requestId: REQUEST });
  bus.publish("http.request.end", { ...END, status: "404", requestId: REQUEST });
  await bus.flush();
  expect(spans.map(({ startMs, failed }) => [startMs, failed])).toEqual([[1500, true], [1991, true], [1991, false]]);
});

test("tracingSubscribers make no span and keep nothing when a request is not sampled or not traced", async () => {
  const { bus, spans, correlations } = tracing();
  for (const requestId of [UNSAMPLED, undefined]) {
    bus.publish("http.request.start", { ...GET, requestId });
    bus.publish("sm.read.prefetched", { tenant: "", succeeded: 1, failed: 0, requestId });
    const lookup = { tier: "fs", tenant: "", outcome: "hit", keys: 1, seconds: 1 } as const;
    bus.publish("l2.lookup.completed", { ...lookup, requestId });
    bus.publish("sm.read.finished", { tenant: "", keys: 1, bytes: 1, requestId });
  }
  await bus.flush();
  expect(spans).toEqual([]);
  expect([...correlations().values()]).toEqual([{ pending: 0, dropped: 0 }, { pending: 0, dropped: 0 }]);
});

test("StorageTracing makes spans from reservation to admission and from probe to release", async () => {
  const { bus, clock, spans } = tracing();
  bus.publish("sm.write.reserved", { tenant: "", succeeded: 1, failed: 0, requestId: REQUEST });
  bus.publish("sm.read.prefetched", { tenant: "", succeeded: 1, failed: 0, requestId: REQUEST });
  clock.ms = 1004;
  bus.publish("sm.write.finished", { tenant: "", outcome: "stored", keys: 1, bytes: 77, requestId: REQUEST });
  bus.publish("sm.read.aborted", { tenant: "", keys: 1, requestId: REQUEST });
  bus.publish("sm.write.reserved", { tenant: "", succeeded: 0, failed: 1, requestId: REQUEST });
  await bus.flush();
  const child = { kind: "internal", traceId: TRACE, parentSpanId: SPAN, endMs: 1004 } as const;
  expect(spans).toEqual([
    {
      ...child,
      name: "storage.write",
      startMs: 1000,
      attributes: { "vitrine.outcome": "stored", "vitrine.bytes": 77 },
      failed: false,
    },
    { ...child, name: "storage.read", startMs: 1000, attributes: {}, failed: true },
    { ...child, name: "storage.write", startMs: 1004, attributes: {}, failed: true },
  ]);
});

test("StorageTracing ends a read when it finds nothing, and keeps nothing of it", async () => {
  const { bus, clock, spans, correlations } = tracing();
  const miss = {
    tenant: "",
    tier: "",
    result: "miss",
    reason: "unknown",
    keys: 1,
    bytes: 0,
    requestId: REQUEST,
  } as const;
  bus.publish("sm.read.prefetched", { tenant: "", succeeded: 0, failed: 1, requestId: REQUEST });
  clock.ms = 1003;
  bus.publish("lookup.finished", miss);
  bus.publish("lookup.finished", { ...miss, result: "hit", reason: "" });
  await bus.flush();
  expect(spans.map(({ name, startMs, endMs, attributes, failed }) => [name, startMs, endMs, attributes, failed]))
    .toEqual(
      [["storage.read", 1000, 1003, { "vitrine.result": "miss" }, false]],
    );
  expect(correlations().get("tracing.storage")).toEqual({ pending: 0, dropped: 0 });
});

test("L2Tracing makes spans of lookups, loads, stores and deletions that end when their events were published", async () => {
  const { bus, clock, spans } = tracing();
  clock.ms = 5000;
  const call = { tier: "fs", tenant: "", keys: 1, requestId: REQUEST } as const;
  bus.publish("l2.lookup.completed", { ...call, outcome: "error", seconds: 0.25 });
  bus.publish("l2.load.completed", { ...call, outcome: "ok", bytes: 9, requestedBytes: 9, seconds: 1 });
  bus.publish("l2.store.completed", { ...call, outcome: "failed", bytes: 0, seconds: 2 });
  bus.publish("l2.delete.completed", { ...call, outcome: "deleted", seconds: 3 });
  await bus.flush();
  expect(spans.map(({ name, startMs, endMs, failed, attributes }) => [name, startMs, endMs, failed, attributes]))
    .toEqual([
      ["l2.lookup", 4750, 5000, true, { "vitrine.tier": "fs", "vitrine.outcome": "error" }],
      ["l2.load", 4000, 5000, false, { "vitrine.tier": "fs", "vitrine.outcome": "ok", "vitrine.bytes": 9 }],
      ["l2.store", 3000, 5000, true, { "vitrine.tier": "fs", "vitrine.outcome": "failed", "vitrine.bytes": 0 }],
      ["l2.delete", 2000, 5000, false, { "vitrine.tier": "fs", "vitrine.outcome": "deleted" }],
    ]);
  expect(new Set(spans.map(({ traceId, parentSpanId }) => `${traceId} ${parentSpanId}`))).toEqual(
    new Set([`${TRACE} ${SPAN}`]),
  );
});
