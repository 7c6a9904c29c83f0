import { type Attributes, type HrTime, ValueType } from "@opentelemetry/api";
import { emptyResource } from "@opentelemetry/resources";
import {
  AggregationTemporality,
  type CollectionResult,
  DataPointType,
  type MetricData,
  type MetricProducer,
} from "@opentelemetry/sdk-metrics";
import type { Clock } from "../core/clock.ts";
import { bucketOf } from "../core/events.ts";

/**
 * Cumulative metrics that the SDK's instruments do not offer: histograms that take a value with a count (the SDK's take
 * one value per call, 0.35 us each, and cannot show a series before its first value), and counters and histograms whose
 * series can be merged (the SDK's never forget a series). Readers collect these together with the SDK's.
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

  /** Collects all of them; the reader fills in the resource. */
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

/** The description of a counter. */
export interface CounterOptions {
  readonly description: string;
  /** UCUM. */
  readonly unit: string;
}

/** A cumulative counter whose series can be merged. */
export class GroupCounter {
  readonly options: CounterOptions;
  readonly #series = new SeriesMap(() => ({ total: 0 }));

  constructor(options: CounterOptions) {
    this.options = options;
  }

  /** Adds to a series; a value of 0 creates it. The attributes of a series must always be in the same order. */
  add(value: number, attributes: Attributes = {}): void {
    this.#series.of(attributes).total += value;
  }

  /**
   * Merges every series whose label has the value `from` into the one with the value `to`. Sums over the label do not
   * change.
   */
  fold(label: string, { from, to }: { readonly from: string; readonly to: string }): void {
    for (const { into, value } of this.#series.take(label, from, to)) this.add(value.total, into);
  }

  /** All series. */
  series(): readonly { readonly attributes: Attributes; readonly total: number }[] {
    return this.#series.map((attributes, { total }) => ({ attributes, total }));
  }
}

/** The description and the buckets of a histogram. */
export interface HistogramOptions {
  readonly description: string;
  /** UCUM. */
  readonly unit: string;
  /** Inclusive upper bounds, ascending. */
  readonly bounds: readonly number[];
}

/** One label set's totals. */
interface Totals {
  /** By bucket, not cumulative; one more than there are bounds. */
  readonly counts: number[];
  count: number;
  sum: number;
}

/** The state of a series. */
export type HistogramSeries = Readonly<Totals> & { readonly attributes: Attributes };

/** A cumulative histogram that takes a value with a count, and whose series can be merged. */
export class GroupHistogram {
  readonly options: HistogramOptions;
  readonly #series: SeriesMap<Totals>;

  constructor(options: HistogramOptions) {
    this.options = options;
    this.#series = new SeriesMap(() => ({ counts: [0, ...options.bounds.map(() => 0)], count: 0, sum: 0 }));
  }

  /**
   * Counts `value` `count` times; a count of 0 creates the series. The attributes of a series must always be in the
   * same order.
   */
  record(value: number, { count, attributes }: { readonly count: number; readonly attributes: Attributes }): void {
    const series = this.#series.of(attributes);
    const bucket = bucketOf(value, this.options.bounds);
    series.counts[bucket] = (series.counts[bucket] ?? 0) + count;
    series.count += count;
    series.sum += value * count;
  }

  /** Merges every series whose label has the value `from` into the one with the value `to`. */
  fold(label: string, { from, to }: { readonly from: string; readonly to: string }): void {
    for (const { into, value } of this.#series.take(label, from, to)) {
      const target = this.#series.of(into);
      for (const [bucket, count] of value.counts.entries()) {
        target.counts[bucket] = (target.counts[bucket] ?? 0) + count;
      }
      target.count += value.count;
      target.sum += value.sum;
    }
  }

  /** All series. */
  series(): readonly HistogramSeries[] {
    return this.#series.map((attributes, totals) => ({ attributes, ...totals }));
  }
}

/** The series of a metric, by label set. The attributes of a series must always be in the same order. */
class SeriesMap<Value> {
  readonly #series = new Map<string, { readonly attributes: Attributes; readonly value: Value }>();
  readonly #create: () => Value;

  /** `create`: makes a series at zero. */
  constructor(create: () => Value) {
    this.#create = create;
  }

  /** The series of a label set; created if it is missing. */
  of(attributes: Attributes): Value {
    const id = JSON.stringify(attributes);
    const known = this.#series.get(id);
    if (known !== undefined) return known.value;
    const value = this.#create();
    this.#series.set(id, { attributes, value });
    return value;
  }

  /** Removes the series whose label has the value `from`, each with the attributes of the series to merge it into. */
  take(label: string, from: string, to: string): readonly { readonly into: Attributes; readonly value: Value }[] {
    const taken = Array.from(this.#series).filter(([, { attributes }]) => attributes[label] === from);
    for (const [id] of taken) this.#series.delete(id);
    return taken.map(([, { attributes, value }]) => ({ into: { ...attributes, [label]: to }, value }));
  }

  /** Maps all series, in the order of their creation. */
  map<Result>(each: (attributes: Attributes, value: Value) => Result): Result[] {
    return Array.from(this.#series.values(), ({ attributes, value }) => each(attributes, value));
  }
}

/** OpenTelemetry's time: whole seconds and nanoseconds. */
export function hrTime(timeMs: number): HrTime {
  const seconds = Math.floor(timeMs / 1000);
  return [seconds, Math.round((timeMs - seconds * 1000) * 1e6)];
}
