import type { Attributes, Counter, Meter, ObservableCounter, ObservableGauge } from "@opentelemetry/api";
import { metricsTable, type NameOf } from "../catalogue/table.ts";
import type { LabelValues, MetricRow, SeriesSet } from "../catalogue/table_row.ts";
import type { Foldable, Tenants } from "./tenants.ts";

/**
 * A histogram that takes a whole group at once: OpenTelemetry's own takes one value per call, and cannot show a series
 * at zero.
 */
export interface GroupHistogram extends Foldable {
  /** Counts `value` `count` times. A count of 0 makes the series exist. */
  record(value: number, group: { readonly count: number; readonly attributes: Attributes }): void;
}

/** A counter whose series can be folded into one another. */
export interface GroupCounter extends Foldable {
  add(value: number, attributes?: Attributes): void;
}

/** Where instruments come from: telemetry's side of the bargain. */
export interface InstrumentSource {
  readonly meter: Meter;
  createCounter(name: string, options: { readonly description: string; readonly unit: string }): GroupCounter;
  createHistogram(
    name: string,
    options: { readonly description: string; readonly unit: string; readonly bounds: readonly number[] },
  ): GroupHistogram;
}

/** A counter by tenant. */
export interface TenantCounter {
  add(value: number, tenant: string): void;
}

/** A histogram by tenant. */
export interface TenantHistogram {
  record(value: number, tenant: string): void;
}

/** What instruments are made with. */
export interface InstrumentOptions {
  /** Names of the L2 tiers, in the order they are asked. */
  readonly adapters: readonly string[];
  readonly tenants: Tenants;
}

/** Makes instruments from the table of metrics, with the series that must exist at zero. */
export class Instruments {
  readonly meter: Meter;
  readonly #source: InstrumentSource;
  readonly #options: InstrumentOptions;

  constructor(source: InstrumentSource, options: InstrumentOptions) {
    this.meter = source.meter;
    this.#source = source;
    this.#options = options;
  }

  counter(name: NameOf<"counter">): Counter {
    const row: MetricRow = metricsTable[name];
    const counter = this.meter.createCounter(name, { description: row.help, unit: row.unit });
    for (const attributes of this.zeroSeries(row)) counter.add(0, attributes);
    return counter;
  }

  /** A counter whose only label is the tenant's. */
  tenantCounter(name: NameOf<"counter">): TenantCounter {
    const row: MetricRow = metricsTable[name];
    const { tenants } = this.#options;
    const counter = this.#source.createCounter(name, { description: row.help, unit: row.unit });
    for (const attributes of this.zeroSeries(row)) counter.add(0, attributes);
    tenants.add(counter);
    return { add: (value, tenant) => counter.add(value, tenants.labels(tenant)) };
  }

  histogram(name: NameOf<"histogram">): GroupHistogram {
    const row: MetricRow = metricsTable[name];
    const { help: description, unit, bounds = [] } = row;
    const histogram = this.#source.createHistogram(name, { description, unit, bounds });
    for (const attributes of this.zeroSeries(row)) histogram.record(0, { count: 0, attributes });
    return histogram;
  }

  /** A histogram whose only label is the tenant's. */
  tenantHistogram(name: NameOf<"histogram">): TenantHistogram {
    const { tenants } = this.#options;
    const histogram = this.histogram(name);
    tenants.add(histogram);
    return { record: (value, tenant) => histogram.record(value, { count: 1, attributes: tenants.labels(tenant) }) };
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
    if (set === "adapters") return this.#options.adapters.map((name, index) => adapterLabels(name, index));
    return Object.entries(set).reduce<readonly Attributes[]>(
      (partial, [label, values]) =>
        partial.flatMap((attributes) => this.#valuesOf(values).map((value) => ({ ...attributes, [label]: value }))),
      [{}],
    );
  }

  #valuesOf(values: LabelValues): readonly string[] {
    if (values === "adapters") return this.#options.adapters;
    if (values === "tiers") return ["l1", ...this.#options.adapters];
    return values;
  }
}

/** LMCache's two labels of an L2 adapter. */
export function adapterLabels(name: string, index: number): Attributes {
  return { l2_name: name, adapter_index: String(index) };
}
