import { type HrTime, ValueType } from "@opentelemetry/api";
import { emptyResource } from "@opentelemetry/resources";
import {
  AggregationTemporality,
  type CollectionResult,
  DataPointType,
  type MetricData,
  type MetricProducer,
} from "@opentelemetry/sdk-metrics";
import type { Clock } from "../../core/clock.ts";
import { hrTime } from "../hr_time.ts";
import { type CounterOptions, GroupCounter, GroupHistogram, type HistogramOptions } from "./group_instruments.ts";

/**
 * Cumulative metrics that the SDK's own instruments cannot be: histograms that take a value with a count (the SDK's
 * take one value per call, 0.35 us each, and cannot show a series before its first value), and counters and histograms
 * whose series can be folded into one another (the SDK's never forget a series). Readers pull these in beside the
 * SDK's.
 */
export class GroupMetrics implements MetricProducer {
  readonly #scope: { readonly name: string };
  readonly #clock: Clock;
  readonly #startMs: number;
  readonly #metrics = new Map<string, GroupHistogram | GroupCounter>();

  /** `scope`: the meter's name. */
  constructor(scope: string, clock: Clock) {
    this.#scope = { name: scope };
    this.#clock = clock;
    this.#startMs = clock.nowMs();
  }

  /** A histogram; a name is given once. */
  createHistogram(name: string, options: HistogramOptions): GroupHistogram {
    const histogram = new GroupHistogram(options);
    this.#metrics.set(name, histogram);
    return histogram;
  }

  /** A counter; a name is given once. */
  createCounter(name: string, options: CounterOptions): GroupCounter {
    const counter = new GroupCounter(options);
    this.#metrics.set(name, counter);
    return counter;
  }

  /** All of them as they stand; the resource is the reader's to fill in. */
  collect(): Promise<CollectionResult> {
    const times = { startTime: hrTime(this.#startMs), endTime: hrTime(this.#clock.nowMs()) };
    const metrics = Array.from(this.#metrics, ([name, metric]) => metricData(name, metric, times));
    const scopeMetrics = [{ scope: this.#scope, metrics }];
    return Promise.resolve({ resourceMetrics: { resource: emptyResource(), scopeMetrics }, errors: [] });
  }
}

function metricData(
  name: string,
  metric: GroupHistogram | GroupCounter,
  times: { readonly startTime: HrTime; readonly endTime: HrTime },
): MetricData {
  const { description, unit } = metric.options;
  const descriptor = { name, description, unit, valueType: ValueType.DOUBLE };
  const aggregationTemporality = AggregationTemporality.CUMULATIVE;
  if (metric instanceof GroupCounter) {
    return {
      descriptor,
      aggregationTemporality,
      dataPointType: DataPointType.SUM,
      isMonotonic: true,
      dataPoints: metric.series().map(({ attributes, total }) => ({ ...times, attributes, value: total })),
    };
  }
  const { bounds } = metric.options;
  return {
    descriptor,
    aggregationTemporality,
    dataPointType: DataPointType.HISTOGRAM,
    dataPoints: metric.series().map(({ attributes, counts, count, sum }) => ({
      ...times,
      attributes,
      value: { buckets: { boundaries: [...bounds], counts: [...counts] }, count, sum },
    })),
  };
}
