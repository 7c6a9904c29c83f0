import type { Attributes } from "@opentelemetry/api";
import {
  AggregationTemporality,
  DataPointType,
  InMemoryMetricExporter,
  MeterProvider,
  PeriodicExportingMetricReader,
} from "@opentelemetry/sdk-metrics";
import { EventBus } from "../../../src/events/bus.ts";
import type { EventMap, EventName } from "../../../src/events/catalogue.ts";
import type { Subscriber } from "../../../src/events/subscriber.ts";
import { Instruments, type InstrumentSource } from "../../../src/subscribers/metrics/support/instruments.ts";
import { Tenants } from "../../../src/subscribers/metrics/support/tenants.ts";
import { GroupMetrics } from "../../../src/telemetry/groups/group_metrics.ts";

/** What a series holds: a number, or a histogram's count, sum and non-empty buckets by upper bound. */
export type SeriesValue = number | {
  readonly count: number;
  readonly sum: number;
  readonly buckets: Readonly<Record<string, number>>;
};

/** An event ready to be published. */
export type Published = { readonly [Name in EventName]: readonly [Name, EventMap[Name]] }[EventName];

/** A metrics subscriber on a bus, and its series read through an in-memory reader. */
export class MetricsHarness {
  readonly bus: EventBus;
  readonly source: InstrumentSource;
  readonly instruments: Instruments;
  readonly #reader: PeriodicExportingMetricReader;

  readonly tenants: Tenants;
  /** Milliseconds since the epoch. */
  nowMs = 1000;

  constructor(adapters: readonly string[] = ["fs"], tenantLabels = 20) {
    this.bus = new EventBus({
      schedule: () => () => {},
      clock: { nowMs: () => this.nowMs, monotonicMs: () => this.nowMs },
    });
    this.tenants = new Tenants(tenantLabels);
    const own = new GroupMetrics("test", { nowMs: () => 1000, monotonicMs: () => 1000 });
    this.#reader = new PeriodicExportingMetricReader({
      exporter: new InMemoryMetricExporter(AggregationTemporality.CUMULATIVE),
      metricProducers: [own],
    });
    const meter = new MeterProvider({ readers: [this.#reader] }).getMeter("test");
    this.source = {
      meter,
      createHistogram: (name, options) => own.createHistogram(name, options),
      createCounter: (name, options) => own.createCounter(name, options),
    };
    this.instruments = new Instruments(this.source, { adapters, tenants: this.tenants });
  }

  /** Publishes to a subscriber, either folded or (its events wanted in detail by someone else) one by one. */
  async publish(
    subscriber: Subscriber,
    events: readonly Published[],
    how: "folded" | "single" = "folded",
  ): Promise<void> {
    this.bus.subscribe(subscriber);
    if (how === "single") {
      const detail = events.map(([name]) => name);
      this.bus.subscribe({
        name: "live",
        subscriptions: Object.fromEntries(detail.map((name) => [name, () => {}])),
        detail,
      });
    }
    for (const event of events) publishOne(this.bus, event);
    await this.bus.flush();
  }

  /** Every series as `name{label="value",…}`. */
  async series(): Promise<Readonly<Record<string, SeriesValue>>> {
    const { resourceMetrics, errors } = await this.#reader.collect();
    if (errors.length > 0) throw new AggregateError(errors, "collecting failed");
    const series: Record<string, SeriesValue> = {};
    for (const metric of resourceMetrics.scopeMetrics.flatMap(({ metrics }) => metrics)) {
      const { name } = metric.descriptor;
      if (metric.dataPointType === DataPointType.HISTOGRAM) {
        for (const { attributes, value: { count, sum = 0, buckets } } of metric.dataPoints) {
          const counted = buckets.counts.map((inBucket, index) =>
            [String(buckets.boundaries[index] ?? "+Inf"), inBucket] as const
          );
          const nonEmpty = Object.fromEntries(counted.filter(([, inBucket]) => inBucket > 0));
          series[`${name}${labels(attributes)}`] = { count, sum, buckets: nonEmpty };
        }
      } else if (metric.dataPointType !== DataPointType.EXPONENTIAL_HISTOGRAM) {
        for (const { attributes, value } of metric.dataPoints) series[`${name}${labels(attributes)}`] = value;
      }
    }
    return series;
  }

  /** The series that are not zero. */
  async nonZero(): Promise<Readonly<Record<string, SeriesValue>>> {
    const all = Object.entries(await this.series());
    return Object.fromEntries(all.filter(([, value]) => typeof value === "number" ? value !== 0 : value.count !== 0));
  }
}

function labels(attributes: Attributes): string {
  const pairs = Object.entries(attributes).map(([label, value]) => `${label}="${String(value)}"`);
  return pairs.length === 0 ? "" : `{${pairs.join(",")}}`;
}

function publishOne<Name extends EventName>(bus: EventBus, [name, fields]: readonly [Name, EventMap[Name]]): void {
  bus.publish(name, fields);
}
