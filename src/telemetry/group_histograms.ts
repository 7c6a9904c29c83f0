import { type Attributes, ValueType } from "@opentelemetry/api";
import { emptyResource } from "@opentelemetry/resources";
import {
  AggregationTemporality,
  type CollectionResult,
  type DataPoint,
  DataPointType,
  type Histogram,
  type HistogramMetricData,
  type MetricProducer,
} from "@opentelemetry/sdk-metrics";
import { bucketOf } from "../core/buckets.ts";
import type { Clock } from "../core/clock.ts";

/** What a histogram is called and measured against. */
export interface HistogramOptions {
  readonly description: string;
  /** UCUM. */
  readonly unit: string;
  /** Inclusive upper bounds, ascending. */
  readonly bounds: readonly number[];
}

interface Series {
  readonly attributes: Attributes;
  readonly counts: number[];
  count: number;
  sum: number;
}

/**
 * Cumulative histograms that take a value with a count. The SDK's take one value per call, 0.35 us each, which would be dearer than
 * all the rest of the event path, and have no way to show a series before its first value. Readers pull these in beside the SDK's.
 */
export class GroupHistograms implements MetricProducer {
  readonly #scope: { readonly name: string };
  readonly #clock: Clock;
  readonly #startMs: number;
  readonly #histograms = new Map<
    string,
    { readonly options: HistogramOptions; readonly series: Map<string, Series> }
  >();

  /** `scope`: the meter's name. */
  constructor(scope: string, clock: Clock) {
    this.#scope = { name: scope };
    this.#clock = clock;
    this.#startMs = clock.nowMs();
  }

  /** A histogram; a name is given once. */
  create(name: string, options: HistogramOptions) {
    const series = new Map<string, Series>();
    this.#histograms.set(name, { options, series });
    return {
      record(value: number, { count, attributes }: { readonly count: number; readonly attributes: Attributes }): void {
        const id = JSON.stringify(attributes);
        let one = series.get(id);
        if (one === undefined) {
          one = { attributes, counts: Array.from({ length: options.bounds.length + 1 }, () => 0), count: 0, sum: 0 };
          series.set(id, one);
        }
        const bucket = bucketOf(value, options.bounds);
        one.counts[bucket] = (one.counts[bucket] ?? 0) + count;
        one.count += count;
        one.sum += value * count;
      },
    };
  }

  /** All histograms as they stand; the resource is the reader's to fill in. */
  collect(): Promise<CollectionResult> {
    const metrics = [...this.#histograms].map(([name, { options, series }]) => this.#metric(name, options, series));
    const scopeMetrics = [{ scope: this.#scope, metrics }];
    return Promise.resolve({ resourceMetrics: { resource: emptyResource(), scopeMetrics }, errors: [] });
  }

  #metric(
    name: string,
    { description, unit, bounds }: HistogramOptions,
    series: Map<string, Series>,
  ): HistogramMetricData {
    const startTime = hrTime(this.#startMs);
    const endTime = hrTime(this.#clock.nowMs());
    const dataPoints: DataPoint<Histogram>[] = [...series.values()].map(({ attributes, counts, count, sum }) => ({
      startTime,
      endTime,
      attributes,
      value: { buckets: { boundaries: [...bounds], counts: [...counts] }, count, sum },
    }));
    return {
      descriptor: { name, description, unit, valueType: ValueType.DOUBLE },
      aggregationTemporality: AggregationTemporality.CUMULATIVE,
      dataPointType: DataPointType.HISTOGRAM,
      dataPoints,
    };
  }
}

/** OpenTelemetry's time: whole seconds and nanoseconds. */
function hrTime(timeMs: number): [number, number] {
  const seconds = Math.floor(timeMs / 1000);
  return [seconds, Math.round((timeMs - seconds * 1000) * 1e6)];
}
