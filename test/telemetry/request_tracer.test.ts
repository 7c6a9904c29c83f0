import { expect, test } from "bun:test";
import { ROOT_CONTEXT } from "@opentelemetry/api";
import { SamplingDecision, TraceIdRatioBasedSampler } from "@opentelemetry/sdk-trace";
import fc from "fast-check";
import { parseTraceParent } from "../../src/core/events.ts";
import { requestTracer } from "../../src/telemetry/request_tracer.ts";

const TRACE = "0af7651916cd43dd8448eb211c80319c";
const PUSH = { OTEL_EXPORTER_OTLP_ENDPOINT: "http://collector:4318" };
const parent = (flags: "00" | "01", traceId = TRACE) => `00-${traceId}-b7ad6b7169203331-${flags}`;

function follower(env: Readonly<Record<string, string>>, everyRequest = false, random = 0.5) {
  return requestTracer({
    env: { ...PUSH, ...env },
    everyRequest,
    random: () => random,
    randomHex: (bytes) => "ab".repeat(bytes),
  });
}

test("requestTracer follows nothing when no traces are pushed or the sampler is always_off", () => {
  expect(requestTracer({ env: {}, everyRequest: false })).toBeUndefined();
  expect(follower({ OTEL_TRACES_SAMPLER: "always_off" })).toBeUndefined();
  expect(follower({ OTEL_TRACES_EXPORTER: "none" })).toBeUndefined();
});

test("requestTracer begins a trace when there is no parent, and goes on with the parent's when there is", () => {
  const follow = follower({});
  expect(follow?.(null)).toEqual({ requestId: `00-${"ab".repeat(16)}-${"ab".repeat(8)}-01` });
  expect(follow?.("nonsense")?.traceParent).toBeUndefined();
  expect(follow?.(parent("01"))).toEqual({
    requestId: `00-${TRACE}-${"ab".repeat(8)}-01`,
    traceParent: parent("01"),
  });
});

const decisions: readonly (readonly [string, string, readonly boolean[]])[] = [
  ["parentbased_always_on", "", [true, true, false]],
  ["", "", [true, true, false]],
  ["nonsense", "", [true, true, false]],
  ["parentbased_always_off", "", [false, true, false]],
  ["parentbased_traceidratio", "0.6", [true, true, false]],
  ["parentbased_traceidratio", "0.4", [false, true, false]],
  ["traceidratio", "0", [false, false, false]],
  ["traceidratio", "1", [true, true, true]],
  ["traceidratio", "7", [true, true, true]],
  ["always_on", "", [true, true, true]],
];

for (const [sampler, arg, expected] of decisions) {
  test(`requestTracer decides by the sampler "${sampler}" and its argument "${arg}" for a root, a sampled and an unsampled parent`, () => {
    const follow = follower({ OTEL_TRACES_SAMPLER: sampler, OTEL_TRACES_SAMPLER_ARG: arg });
    expect([null, parent("01"), parent("00")].map((header) => follow?.(header) !== undefined)).toEqual([...expected]);
  });
}

test("requestTracer decides like the SDK's sampler when the ratio goes by the trace", () => {
  const hex = fc.uint8Array({ minLength: 16, maxLength: 16 }).map((bytes) =>
    Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("")
  ).filter((id) => !/^0+$/.test(id));
  fc.assert(fc.property(hex, fc.double({ min: 0, max: 1, noNaN: true }), (traceId, ratio) => {
    const follow = follower({ OTEL_TRACES_SAMPLER: "traceidratio", OTEL_TRACES_SAMPLER_ARG: String(ratio) });
    const theirs = new TraceIdRatioBasedSampler(ratio).shouldSample(ROOT_CONTEXT, traceId);
    expect(follow?.(parent("00", traceId)) !== undefined).toBe(theirs.decision === SamplingDecision.RECORD_AND_SAMPLED);
  }));
});

test("requestTracer names every request, and marks those that are not sampled, when someone writes all of them down", () => {
  const follow = follower({ OTEL_TRACES_SAMPLER: "always_off" }, true);
  expect(parseTraceParent(follow?.(null)?.requestId ?? "")?.sampled).toBe(false);
  expect(parseTraceParent(follow?.(parent("01"))?.requestId ?? "")).toEqual({
    traceId: TRACE,
    spanId: "ab".repeat(8),
    sampled: false,
  });
});
