import type { Attributes } from "@opentelemetry/api";
import { bucketOf } from "../core/buckets.ts";

/** What a histogram is called and measured against. */
export interface HistogramOptions {
  readonly description: string;
  /** UCUM. */
  readonly unit: string;
  /** Inclusive upper bounds, ascending. */
  readonly bounds: readonly number[];
}

/** One label set's totals. */
export interface HistogramSeries {
  readonly attributes: Attributes;
  /** By bucket, not cumulative; one more than there are bounds. */
  readonly counts: number[];
  count: number;
  sum: number;
}

/** A cumulative histogram that takes a value with a count. */
export class GroupHistogram {
  readonly options: HistogramOptions;
  readonly #series = new Map<string, HistogramSeries>();

  constructor(options: HistogramOptions) {
    this.options = options;
  }

  get series(): ReadonlyMap<string, Readonly<HistogramSeries>> {
    return this.#series;
  }

  /** Counts `value` `count` times. A count of 0 makes the series exist. Give the attributes of a series in the same order each time. */
  record(value: number, { count, attributes }: { readonly count: number; readonly attributes: Attributes }): void {
    const series = this.#seriesOf(attributes);
    const bucket = bucketOf(value, this.options.bounds);
    series.counts[bucket] = (series.counts[bucket] ?? 0) + count;
    series.count += count;
    series.sum += value * count;
  }

  #seriesOf(attributes: Attributes): HistogramSeries {
    const id = JSON.stringify(attributes);
    let series = this.#series.get(id);
    if (series === undefined) {
      series = { attributes, counts: [0, ...this.options.bounds.map(() => 0)], count: 0, sum: 0 };
      this.#series.set(id, series);
    }
    return series;
  }
}
