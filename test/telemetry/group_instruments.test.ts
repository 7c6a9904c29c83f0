import { expect, test } from "bun:test";
import {
  AggregationTemporality,
  DataPointType,
  InMemoryMetricExporter,
  MeterProvider,
  PeriodicExportingMetricReader,
} from "@opentelemetry/sdk-metrics";
import fc from "fast-check";
import { eventNames, LATENCY_BOUNDS } from "../../src/events/catalogue.ts";
import { CounterRows } from "../../src/events/memory/counter_rows.ts";
import { RowReader } from "../../src/events/memory/segment_reader.ts";
import { privateSegment, Segment } from "../../src/events/memory/segment.ts";
import { GroupMetrics } from "../../src/telemetry/group_metrics.ts";

const value = fc.oneof(
  fc.constantFrom(0, ...LATENCY_BOUNDS, ...LATENCY_BOUNDS.map((bound) => bound * (1 + Number.EPSILON))),
  fc.double({ min: 0, max: 12, noNaN: true }),
);

/**
 * Records the values through rows of counters into a GroupHistogram, and one by one into the SDK's own histogram;
 * returns what a reader sees of both.
 */
async function recordBothWays(values: readonly number[]) {
  const histograms = new GroupMetrics("test", { nowMs: () => 0, monotonicMs: () => 0 });
  const reader = new PeriodicExportingMetricReader({
    exporter: new InMemoryMetricExporter(AggregationTemporality.CUMULATIVE),
    metricProducers: [histograms],
  });
  const provider = new MeterProvider({ readers: [reader] });
  const ours = histograms.createHistogram("ours", { description: "", unit: "s", bounds: LATENCY_BOUNDS });
  const advice = { explicitBucketBoundaries: [...LATENCY_BOUNDS] };
  const theirs = provider.getMeter("test").createHistogram("theirs", { advice });
  const segment = new Segment(privateSegment(1));
  const rows = new CounterRows(segment).types[eventNames.indexOf("l2.lookup.completed")];
  for (const seconds of values) {
    theirs.record(seconds);
    rows?.add({ tier: "fs", tenant: "", outcome: "hit", keys: 1, seconds }, false);
  }
  for (const { event } of new RowReader(segment).take(0)) {
    if (event.name === "l2.lookup.completed") ours.record(event.seconds, { count: event.count, attributes: {} });
  }
  const { resourceMetrics } = await reader.collect();
  await provider.shutdown();
  const points = resourceMetrics.scopeMetrics.flatMap(({ metrics }) => metrics).flatMap((metric) =>
    metric.dataPointType === DataPointType.HISTOGRAM
      ? metric.dataPoints.map((point) => [metric.descriptor.name, point.value] as const)
      : []
  );
  return new Map(points);
}

test("GroupHistogram shows the same buckets, count and sum as the SDK's own when it is fed folded groups", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(value, { minLength: 1, maxLength: 300 }), async (values) => {
      const read = await recordBothWays(values);
      const ours = read.get("ours");
      const theirs = read.get("theirs");
      expect(theirs?.count).toBe(values.length);
      expect(ours?.count).toBe(values.length);
      expect(ours?.buckets).toEqual(theirs?.buckets);
      const sum = theirs?.sum ?? 0;
      expect(Math.abs((ours?.sum ?? 0) - sum)).toBeLessThanOrEqual(sum * 1e-12 + 1e-300);
    }),
    { numRuns: 50 },
  );
});
