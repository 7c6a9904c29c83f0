import type { Attributes } from "@opentelemetry/api";
import { SeriesMap } from "./series_map.ts";

/** What a counter is called. */
export interface CounterOptions {
  readonly description: string;
  /** UCUM. */
  readonly unit: string;
}

/** A cumulative counter whose series can be folded into one another, which the SDK's cannot. */
export class GroupCounter {
  readonly options: CounterOptions;
  readonly #series = new SeriesMap(() => ({ total: 0 }));

  constructor(options: CounterOptions) {
    this.options = options;
  }

  /** Adds to one series. A value of 0 makes it exist. Give the attributes of a series in the same order each time. */
  add(value: number, attributes: Attributes = {}): void {
    this.#series.of(attributes).total += value;
  }

  /**
   * Adds every series whose label has the value `from` to the one with the value `to`, and forgets it: sums over the
   * label stay.
   */
  fold(label: string, { from, to }: { readonly from: string; readonly to: string }): void {
    for (const { into, value } of this.#series.take(label, from, to)) this.add(value.total, into);
  }

  /** All series as they stand. */
  series(): readonly { readonly attributes: Attributes; readonly total: number }[] {
    return this.#series.map((attributes, { total }) => ({ attributes, total }));
  }
}
