import { afterEach, beforeEach, expect, test } from "bun:test";
import process from "node:process";
import { causeText } from "../../src/core/errors.ts";
import { systemClock } from "../../src/core/clock.ts";
import { GroupMetrics } from "../../src/telemetry/group_metrics.ts";
import {
  type FinishedSpan,
  initObservability,
  type LogEntry,
  type Observability,
  type ObservabilityConfig,
  type PushEnd,
} from "../../src/telemetry/mod.ts";
import { SteadyTimes } from "../../src/telemetry/push/metrics_push.ts";
import { until } from "../support/until.ts";
import { type Behaviour, OtlpReceiver } from "./otlp_receiver.ts";

const TIMEOUT = "OTEL_EXPORTER_OTLP_TIMEOUT";
const SPAN: FinishedSpan = {
  name: "request",
  kind: "server",
  traceId: "0af7651916cd43dd8448eb211c80319c",
  spanId: "b7ad6b7169203331",
  parentSpanId: "00f067aa0ba902b7",
  startMs: 1_800_000_000_000.25,
  endMs: 1_800_000_000_002.75,
  attributes: { "http.response.status_code": 200 },
  events: [{ name: "lookup", timeMs: 1_800_000_000_001, attributes: { tier: "l1" } }],
  failed: false,
};
const ENTRY: LogEntry = {
  timeMs: 1_800_000_000_000,
  level: "warn",
  message: "a tier failed",
  attributes: { tier: "fs", count: 3 },
  trace: { traceId: SPAN.traceId, spanId: "b7ad6b7169203331", sampled: true },
};

let receiver: OtlpReceiver;
let running: Observability[] = [];

beforeEach(async () => {
  receiver = await OtlpReceiver.start("answer");
});

afterEach(async () => {
  delete process.env[TIMEOUT];
  await Promise.all(running.map((observability) => observability.shutdown()));
  running = [];
  await receiver.stop();
});

/** Pushes to the receiver: logs and spans one by one, metrics seldom. */
async function start(
  env: Readonly<Record<string, string>> = {},
  { url = receiver.url, onPush = () => {} }: {
    readonly url?: string;
    readonly onPush?: Required<ObservabilityConfig>["onPush"];
  } = {},
): Promise<Observability> {
  const observability = await initObservability({
    clock: systemClock,
    version: "1",
    instanceId: "i",
    shutdownTimeoutMs: 200,
    onPush,
    env: {
      OTEL_EXPORTER_OTLP_ENDPOINT: url,
      OTEL_EXPORTER_OTLP_PROTOCOL: "http/json",
      OTEL_METRICS_EXPORTER: "none",
      OTEL_BSP_MAX_EXPORT_BATCH_SIZE: "1",
      OTEL_BSP_MAX_QUEUE_SIZE: "5",
      OTEL_BLRP_MAX_EXPORT_BATCH_SIZE: "1",
      ...env,
    },
  });
  running.push(observability);
  return observability;
}

function record(observability: Observability, span: FinishedSpan = SPAN): void {
  if (observability.recordSpan === undefined) throw new Error("no traces are pushed");
  observability.recordSpan(span);
}

/** Resolves when so many pushes of spans have ended. */
function pushesEnded(observability: Observability, count: number): Promise<void> {
  return until(() => {
    const { ok = 0, failed = 0 } = observability.exports().get("traces") ?? {};
    return ok + failed >= count;
  });
}

test("recordSpan pushes a span with the ids and times it was given", async () => {
  const observability = await start();
  record(observability);
  const push = await receiver.next();
  expect([push.path, push.headers["content-type"]]).toEqual(["/v1/traces", "application/json"]);
  expect(push.spans()).toEqual([{
    name: "request",
    kind: 2,
    traceId: SPAN.traceId,
    spanId: "b7ad6b7169203331",
    parentSpanId: "00f067aa0ba902b7",
    startTimeUnixNano: "1800000000000250000",
    endTimeUnixNano: "1800000000002750000",
    attributes: { "http.response.status_code": 200 },
    events: [{ name: "lookup", timeUnixNano: "1800000000001000000", attributes: { tier: "l1" } }],
    status: { code: 0 },
  }]);
});

test("recordSpan begins a trace of the given id when there is no parent, and marks a failure", async () => {
  const observability = await start();
  record(observability, { ...SPAN, parentSpanId: undefined, failed: true });
  const [span] = (await receiver.next()).spans();
  expect([span?.traceId, span?.spanId, span?.parentSpanId, span?.status.code]).toEqual([
    SPAN.traceId,
    SPAN.spanId,
    undefined,
    2,
  ]);
});

test("emitLog pushes a record with severity, attributes and the request's trace", async () => {
  const observability = await start();
  observability.emitLog?.(ENTRY);
  const push = await receiver.next();
  expect(push.path).toBe("/v1/logs");
  expect(push.logRecords()).toEqual([{
    timeUnixNano: "1800000000000000000",
    severityText: "WARN",
    body: { stringValue: "a tier failed" },
    attributes: { tier: "fs", count: 3 },
    traceId: SPAN.traceId,
    spanId: "b7ad6b7169203331",
  }]);
});

test("initObservability pushes protobuf unless the environment says otherwise", async () => {
  const observability = await start({ OTEL_EXPORTER_OTLP_PROTOCOL: "" });
  record(observability);
  const push = await receiver.next();
  expect(push.headers["content-type"]).toBe("application/x-protobuf");
  expect(push.bytes.length).toBeGreaterThan(50);
});

test("initObservability makes no spans and no log records when nothing is to be pushed", async () => {
  const observability = await initObservability({
    clock: { nowMs: () => 0, monotonicMs: () => 0 },
    version: "1",
    instanceId: "i",
    env: {},
  });
  running.push(observability);
  expect([observability.recordSpan, observability.emitLog, observability.exports().size]).toEqual([
    undefined,
    undefined,
    0,
  ]);
});

for (const status of [429, 503]) {
  test(`a push counts as failed at once when the collector answers ${status} and asks for more patience than there is, and the next one arrives`, async () => {
    const observability = await start();
    receiver.behaviour = { status, retryAfter: "60" };
    record(observability);
    await receiver.next();
    await pushesEnded(observability, 1);
    receiver.behaviour = "answer";
    record(observability);
    await receiver.next();
    await pushesEnded(observability, 2);
    expect(observability.exports().get("traces")).toEqual({
      ok: 1,
      failed: 1,
      items: { exported: 1, failed: 1, dropped: 0, queued: 0 },
    });
  });
}

test("a push is tried again within its time when the collector answers 503 with Retry-After: 0", async () => {
  const observability = await start();
  receiver.behaviour = { status: 503, retryAfter: "0" };
  record(observability);
  await receiver.next();
  receiver.behaviour = "answer";
  expect((await receiver.next()).spans().length).toBe(1);
  await pushesEnded(observability, 1);
  expect(observability.exports().get("traces")?.ok).toBe(1);
});

test("spans wait in a bounded queue and are dropped when the collector hangs, and flow again when it answers", async () => {
  process.env[TIMEOUT] = "200";
  const observability = await start();
  receiver.behaviour = "hang";
  record(observability);
  await receiver.next();
  for (let spans = 0; spans < 20; spans++) record(observability);
  expect(observability.exports().get("traces")?.items).toEqual({ exported: 0, failed: 0, dropped: 15, queued: 5 });
  receiver.behaviour = "answer";
  await pushesEnded(observability, 6);
  expect(observability.exports().get("traces")).toEqual({
    ok: 5,
    failed: 1,
    items: { exported: 5, failed: 1, dropped: 15, queued: 0 },
  });
});

test("shutdown pushes the spans and log records that wait", async () => {
  const observability = await start({ OTEL_BSP_MAX_EXPORT_BATCH_SIZE: "5", OTEL_BLRP_MAX_EXPORT_BATCH_SIZE: "5" });
  record(observability);
  observability.emitLog?.(ENTRY);
  const pushes = [receiver.next(), receiver.next()];
  expect(await observability.shutdown()).toEqual(new Map([["logs", true], ["traces", true]]));
  expect((await Promise.all(pushes)).map(({ path }) => path).toSorted()).toEqual(["/v1/logs", "/v1/traces"]);
});

test("a push counts as failed when there is no collector", async () => {
  process.env[TIMEOUT] = "100";
  const gone = receiver.url;
  await receiver.stop();
  receiver = await OtlpReceiver.start("answer");
  const observability = await start({}, { url: gone });
  record(observability);
  await pushesEnded(observability, 1);
  expect(observability.exports().get("traces")?.items?.failed).toBe(1);
});

test("metrics lose nothing when pushes fail: the first one that arrives holds the whole count", async () => {
  receiver.behaviour = { status: 503, retryAfter: "60" };
  const observability = await start({ OTEL_METRICS_EXPORTER: "otlp", OTEL_METRIC_EXPORT_INTERVAL: "25" });
  const counter = observability.meter.createCounter("apples_total");
  counter.add(3);
  await receiver.next();
  counter.add(4);
  receiver.behaviour = "answer";
  await receiver.next();
  const push = await receiver.next();
  expect(push.samples('id="i"')).toEqual(new Map([['apples_total{id="i"}', 7]]));
  expect(observability.exports().get("metrics")?.failed).toBeGreaterThanOrEqual(1);
});

/** ExportTraceServiceResponse with partial_success { rejected_spans: 2, error_message: "old" }. */
const REJECTED_PROTOBUF = Uint8Array.from([0x0a, 0x07, 0x08, 0x02, 0x12, 0x03, 0x6f, 0x6c, 0x64]);
const REJECTED_JSON = JSON.stringify({ partialSuccess: { rejectedSpans: "2", errorMessage: "old" } });

for (const [protocol, body] of [["http/json", REJECTED_JSON], ["http/protobuf", REJECTED_PROTOBUF]] as const) {
  test(`spans that the collector rejects count as dropped, and the push as failed, when its answer is a partial success in ${protocol}`, async () => {
    const ends: unknown[] = [];
    const observability = await start({
      OTEL_EXPORTER_OTLP_PROTOCOL: protocol,
      OTEL_BSP_MAX_EXPORT_BATCH_SIZE: "3",
    }, { onPush: (signal, end) => ends.push([signal, end]) });
    receiver.behaviour = { status: 200, body };
    for (let spans = 0; spans < 3; spans++) record(observability);
    await pushesEnded(observability, 1);
    expect(observability.exports().get("traces")).toEqual({
      ok: 0,
      failed: 1,
      items: { exported: 1, failed: 0, dropped: 2, queued: 0 },
    });
    expect(ends).toEqual([["traces", { rejected: { items: 2, message: "old" } }]]);
  });
}

const CAUSES: readonly (readonly [when: string, Behaviour, cause: RegExp])[] = [
  ["answers 400", { status: 400, body: "no" }, /the collector answered 400/],
  ["answers 503", { status: 503, retryAfter: "60" }, /429, 502, 503 or 504/],
  ["hangs", "hang", /timed out|no answer within/i],
];

for (const [when, behaviour, cause] of CAUSES) {
  test(`initObservability tells why a push failed when the collector ${when}`, async () => {
    process.env[TIMEOUT] = "100";
    const causes: string[] = [];
    const onPush = (_signal: string, { error }: { readonly error?: Error | undefined }) =>
      causes.push(causeText(error));
    const observability = await start({}, { onPush });
    receiver.behaviour = behaviour;
    record(observability);
    await pushesEnded(observability, 1);
    expect(causes).toEqual([expect.stringMatching(cause)]);
  });
}

test("initObservability tells why a push failed when nobody listens, and says of an answer that is none of OTLP that it is not", async () => {
  process.env[TIMEOUT] = "100";
  const causes: string[] = [];
  const onPush = (_signal: string, { error, rejected }: PushEnd) =>
    causes.push(error === undefined ? rejected?.message ?? "" : causeText(error));
  const gone = receiver.url;
  await receiver.stop();
  receiver = await OtlpReceiver.start("answer");
  const refused = await start({}, { onPush, url: gone });
  record(refused);
  await pushesEnded(refused, 1);
  expect(causes.splice(0)).toEqual([expect.stringMatching(/ECONNREFUSED|refused|connect/i)]);
  receiver.behaviour = { status: 200, body: "<html>" };
  const answered = await start({}, { onPush });
  record(answered);
  await pushesEnded(answered, 1);
  expect(causes).toEqual(["the answer is not one of OTLP"]);
});

test("the times of pushed metrics do not go back, nor before the start of a series, when wall time does", async () => {
  const clock = {
    stepMs: 0,
    nowMs: () => systemClock.nowMs() + clock.stepMs,
    monotonicMs: () => systemClock.monotonicMs(),
  };
  const times = new SteadyTimes(clock);
  const ms = ([seconds, nanoseconds]: readonly [number, number]) => seconds * 1000 + nanoseconds / 1e6;
  const histogram = new GroupMetrics("test", clock);
  histogram.createHistogram("h", { description: "", unit: "", bounds: [1] }).record(1, { count: 1, attributes: {} });
  const points = async () => {
    const { resourceMetrics } = await histogram.collect();
    return times.of(resourceMetrics).scopeMetrics.flatMap(({ metrics }) =>
      metrics.flatMap(({ dataPoints: [point] }) =>
        point === undefined ? [] : [[ms(point.startTime), ms(point.endTime)]]
      )
    );
  };
  const [before] = await points();
  clock.stepMs = -3_600_000;
  const [after] = await points();
  expect(after?.[1]).toBeGreaterThan(before?.[1] ?? Infinity);
  expect(after?.[0]).toBeLessThanOrEqual(after?.[1] ?? 0);
});
