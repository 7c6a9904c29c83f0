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
import type { InstrumentSource } from "../../../src/subscribers/metrics/family_subscriber.ts";
import type { Family } from "../../../src/subscribers/metrics/metric.ts";
import { type MetricsOptions, metricsSubscribers } from "../../../src/subscribers/metrics/mod.ts";
import { GroupMetrics } from "../../../src/telemetry/group_metrics.ts";

/** What a series holds: a number, or a histogram's count, sum and non-empty buckets by upper bound. */
export type SeriesValue = number | {
  readonly count: number;
  readonly sum: number;
  readonly buckets: Readonly<Record<string, number>>;
};

/** An event ready to be published. */
export type Published = { readonly [Name in EventName]: readonly [Name, EventMap[Name]] }[EventName];

/** A server of which nothing is known but that it runs. */
export const IDLE = {
  adapters: ["fs"],
  state: {
    l1: () => ({
      objects: 0,
      usedBytes: 0,
      capacityBytes: 100,
      stagingBytes: 0,
      oldestAgeSeconds: 0,
      repairs: 0,
      holds: 0,
      heldBytes: 0,
    }),
    storage: () =>
      Promise.resolve({
        l2: [{ tier: "fs", objects: 0, usedBytes: 0, limitBytes: 0, oldestAgeSeconds: 0 }],
        storeQueue: { entries: 0, bytes: 0, inFlight: 0, oldestAgeSeconds: 0 },
      }),
    quotas: () => [{ tenant: "", limitBytes: 0, usedBytes: 0 }],
    activeRequests: () => 0,
    prefetchJobs: () => 0,
    workers: () => [],
    storageThreadStuckSeconds: () => ({ storage: 0, file: 0 }),
  },
  build: { version: "1", runtime: "test", startMs: 0 },
  process: {
    cpuUsage: () => ({ user: 0, system: 0 }),
    residentBytes: () => 0,
    nowMs: () => 0,
    every: () => () => {},
  },
} satisfies Partial<MetricsOptions>;

/** Metrics on a bus, and their series read through an in-memory reader. */
export class MetricsHarness {
  readonly bus: EventBus;
  readonly subscribers: readonly Subscriber[];
  readonly #reader: PeriodicExportingMetricReader;
  /** Milliseconds since the epoch. */
  nowMs = 1000;

  /** `families`: default all. */
  constructor(families?: readonly Family[], options: Partial<MetricsOptions> = {}) {
    this.bus = new EventBus({
      schedule: () => () => {},
      clock: { nowMs: () => this.nowMs, monotonicMs: () => this.nowMs },
    });
    const own = new GroupMetrics("test", { nowMs: () => 1000, monotonicMs: () => 1000 });
    this.#reader = new PeriodicExportingMetricReader({
      exporter: new InMemoryMetricExporter(AggregationTemporality.CUMULATIVE),
      metricProducers: [own],
    });
    const source: InstrumentSource = {
      meter: new MeterProvider({ readers: [this.#reader] }).getMeter("test"),
      createHistogram: (name, described) => own.createHistogram(name, described),
      createCounter: (name, described) => own.createCounter(name, described),
    };
    this.subscribers = metricsSubscribers({
      ...IDLE,
      source,
      busStats: () => this.bus.stats(),
      monotonicMs: () => this.nowMs,
      ...(families === undefined ? {} : { families }),
      ...options,
    });
    for (const subscriber of this.subscribers) this.bus.subscribe(subscriber);
  }

  /** Publishes, and waits until all is counted: either folded or (wanted individually by someone else) one by one. */
  async publish(events: readonly Published[], how: "folded" | "single" = "folded"): Promise<void> {
    if (how === "single") {
      const individual = events.map(([name]) => name);
      this.bus.subscribe({
        name: "live",
        subscriptions: Object.fromEntries(individual.map((name) => [name, () => {}])),
        individual,
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
