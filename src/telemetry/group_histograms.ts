import { type HrTime, ValueType } from "@opentelemetry/api";
import { emptyResource } from "@opentelemetry/resources";
import {
  AggregationTemporality,
  type CollectionResult,
  DataPointType,
  type HistogramMetricData,
  type MetricProducer,
} from "@opentelemetry/sdk-metrics";
import type { Clock } from "../core/clock.ts";
import { GroupHistogram, type HistogramOptions } from "./group_histogram.ts";

/**
 * Cumulative histograms that take a value with a count. The SDK's take one value per call, 0.35 us each, which would be dearer than
 * all the rest of the event path, and cannot show a series before its first value. Readers pull these in beside the SDK's.
 */
export class GroupHistograms implements MetricProducer {
  readonly #scope: { readonly name: string };
  readonly #clock: Clock;
  readonly #startMs: number;
  readonly #histograms = new Map<string, GroupHistogram>();

  /** `scope`: the meter's name. */
  constructor(scope: string, clock: Clock) {
    this.#scope = { name: scope };
    this.#clock = clock;
    this.#startMs = clock.nowMs();
  }

  /** A histogram; a name is given once. */
  create(name: string, options: HistogramOptions): GroupHistogram {
    const histogram = new GroupHistogram(options);
    this.#histograms.set(name, histogram);
    return histogram;
  }

  /** All histograms as they stand; the resource is the reader's to fill in. */
  collect(): Promise<CollectionResult> {
    const metrics = Array.from(this.#histograms, ([name, histogram]) => this.#metric(name, histogram));
    const scopeMetrics = [{ scope: this.#scope, metrics }];
    return Promise.resolve({ resourceMetrics: { resource: emptyResource(), scopeMetrics }, errors: [] });
  }

  #metric(name: string, { options, series }: GroupHistogram): HistogramMetricData {
    const { description, unit, bounds } = options;
    const startTime = hrTime(this.#startMs);
    const endTime = hrTime(this.#clock.nowMs());
    return {
      descriptor: { name, description, unit, valueType: ValueType.DOUBLE },
      aggregationTemporality: AggregationTemporality.CUMULATIVE,
      dataPointType: DataPointType.HISTOGRAM,
      dataPoints: Array.from(series.values(), ({ attributes, counts, count, sum }) => ({
        startTime,
        endTime,
        attributes,
        value: { buckets: { boundaries: [...bounds], counts: [...counts] }, count, sum },
      })),
    };
  }
}

/** OpenTelemetry's time: whole seconds and nanoseconds. */
function hrTime(timeMs: number): HrTime {
  const seconds = Math.floor(timeMs / 1000);
  return [seconds, Math.round((timeMs - seconds * 1000) * 1e6)];
}
