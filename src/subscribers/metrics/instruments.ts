import type { Attributes, Counter, Meter, ObservableCounter, ObservableGauge } from "@opentelemetry/api";
import { metricsTable, type NameOf } from "./table.ts";
import type { LabelValues, MetricRow, SeriesSet } from "./table_row.ts";

/** A histogram that takes a whole group at once: OpenTelemetry's own takes one value per call, and cannot show a series at zero. */
export interface GroupHistogram {
  /** Counts `value` `count` times. A count of 0 makes the series exist. */
  record(value: number, group: { readonly count: number; readonly attributes: Attributes }): void;
}

/** Where instruments come from: telemetry's side of the bargain. */
export interface InstrumentSource {
  readonly meter: Meter;
  createHistogram(
    name: string,
    options: { readonly description: string; readonly unit: string; readonly bounds: readonly number[] },
  ): GroupHistogram;
}

/** Makes instruments from the table of metrics, with the series that must exist at zero. */
export class Instruments {
  readonly meter: Meter;
  readonly #source: InstrumentSource;
  readonly #adapters: readonly string[];

  /** `adapters`: the names of the L2 tiers. */
  constructor(source: InstrumentSource, adapters: readonly string[]) {
    this.meter = source.meter;
    this.#source = source;
    this.#adapters = adapters;
  }

  counter(name: NameOf<"counter">): Counter {
    const row: MetricRow = metricsTable[name];
    const counter = this.meter.createCounter(name, { description: row.help, unit: row.unit });
    for (const attributes of this.zeroSeries(row)) counter.add(0, attributes);
    return counter;
  }

  histogram(name: NameOf<"histogram">): GroupHistogram {
    const row: MetricRow = metricsTable[name];
    const { help: description, unit, bounds = [] } = row;
    const histogram = this.#source.createHistogram(name, { description, unit, bounds });
    for (const attributes of this.zeroSeries(row)) histogram.record(0, { count: 0, attributes });
    return histogram;
  }

  gauge(name: NameOf<"gauge">): ObservableGauge {
    const row: MetricRow = metricsTable[name];
    return this.meter.createObservableGauge(name, { description: row.help, unit: row.unit });
  }

  /** A counter whose total is kept elsewhere and read when the metrics are collected. */
  observedCounter(name: NameOf<"counter">): ObservableCounter {
    const row: MetricRow = metricsTable[name];
    return this.meter.createObservableCounter(name, { description: row.help, unit: row.unit });
  }

  /** The label sets of a row that exist from the start. */
  zeroSeries(row: MetricRow): readonly Attributes[] {
    if (row.zero !== undefined) return row.zero.flatMap((set) => this.#product(set));
    return row.labels.length === 0 ? [{}] : [];
  }

  #product(set: SeriesSet): readonly Attributes[] {
    return Object.entries(set).reduce<readonly Attributes[]>(
      (partial, [label, values]) =>
        partial.flatMap((attributes) => this.#valuesOf(values).map((value) => ({ ...attributes, [label]: value }))),
      [{}],
    );
  }

  #valuesOf(values: LabelValues): readonly string[] {
    if (values === "adapters") return this.#adapters;
    if (values === "tiers") return ["l1", ...this.#adapters];
    return values;
  }
}
