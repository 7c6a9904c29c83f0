import type { Attributes } from "@opentelemetry/api";
import { bucketOf } from "../../core/buckets.ts";
import { SeriesMap } from "./series_map.ts";

/** What a histogram is called and measured against. */
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

/** A series as it stands. */
export type HistogramSeries = Readonly<Totals> & { readonly attributes: Attributes };

/** A cumulative histogram that takes a value with a count, and whose series can be folded into one another. */
export class GroupHistogram {
  readonly options: HistogramOptions;
  readonly #series: SeriesMap<Totals>;

  constructor(options: HistogramOptions) {
    this.options = options;
    this.#series = new SeriesMap(() => ({ counts: [0, ...options.bounds.map(() => 0)], count: 0, sum: 0 }));
  }

  /**
   * Counts `value` `count` times. A count of 0 makes the series exist. Give the attributes of a series in the same
   * order each time.
   */
  record(value: number, { count, attributes }: { readonly count: number; readonly attributes: Attributes }): void {
    const series = this.#series.of(attributes);
    const bucket = bucketOf(value, this.options.bounds);
    series.counts[bucket] = (series.counts[bucket] ?? 0) + count;
    series.count += count;
    series.sum += value * count;
  }

  /** Adds every series whose label has the value `from` to the one with the value `to`, and forgets it. */
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

  /** All series as they stand. */
  series(): readonly HistogramSeries[] {
    return this.#series.map((attributes, totals) => ({ attributes, ...totals }));
  }
}
