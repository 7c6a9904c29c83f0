import type { Attributes, ObservableCounter, ObservableGauge } from "@opentelemetry/api";
import { type EventName, eventNames } from "../../events/catalogue.ts";
import type { Handler, Subscriber, Subscriptions } from "../../events/subscriber.ts";
import type { Observability } from "../../telemetry/mod.ts";
import {
  type About,
  type Family,
  type Labels,
  type LabelValues,
  type MeasureContext,
  type Measured,
  type Metric,
  type ProcessSource,
  type Readers,
  type Sources,
  TENANT_LABEL,
} from "./metric.ts";
import type { Tenants } from "./tenants.ts";

/** The parts of a server that its metrics are made with. */
export interface FamilyOptions extends InstrumentOptions {
  readonly context: MeasureContext;
  readonly readers: Readers;
  readonly process: ProcessSource;
}

/** A metric that events feed, and its instrument. */
interface Fed {
  readonly metric: Metric;
  readonly record: Recorder;
}

/** A metric that is read at collection, and its instrument. */
interface Observed {
  readonly metric: Metric;
  readonly instrument: ReturnType<typeof observableOf>;
}

/** Makes the metrics of a family, and the subscriber that feeds them with the events that they measure. */
export function familySubscriber({ name, metrics }: Family, options: FamilyOptions): Subscriber {
  const { source, readers, process, context } = options;
  const isObserved = ({ feed }: Metric) => Object.keys(feed.reads).length > 0;
  const observed = metrics.filter(isObserved).map((metric) => ({ metric, instrument: observableOf(metric, source) }));
  const isSource = (key: string): key is keyof Sources => Object.hasOwn(readers, key);
  for (const key of Object.keys(readers).filter(isSource)) {
    showSource(key, readers[key], { observed, source, tenants: options.tenants });
  }
  const fed = metrics.filter((metric) => !isObserved(metric))
    .map((metric) => ({ metric, record: recorderOf(metric, options) }));
  const stops = fed.flatMap(({ metric: { feed }, record }) =>
    feed.run === undefined ? [] : [feed.run((value) => record(value, 1), process)]
  );
  const measured = eventNames.filter((event) => metrics.some(({ feed }) => feed.measures[event] !== undefined));
  return {
    name,
    subscriptions: measured.reduce<Subscriptions>(
      (others, event) => ({ ...others, [event]: handlerOf(event, { fed, context }) }),
      {},
    ),
    individual: metrics.flatMap(({ feed }) => feed.individual),
    shutdown: () => stops.forEach((stop) => stop()),
  };
}

/** Passes an event to every metric that measures it. */
function handlerOf<Name extends EventName>(
  name: Name,
  { fed, context }: { readonly fed: readonly Fed[]; readonly context: MeasureContext },
): Handler<Name> {
  const measuring = fed.flatMap(({ metric, record }) => {
    const measure = metric.feed.measures[name];
    return measure === undefined ? [] : [{ measure, record }];
  });
  return (event) => {
    for (const { measure, record } of measuring) record(measure(event, context), event.count);
  };
}

/** Observes the metrics of a source, which is read once for all of them. */
function showSource<Key extends keyof Sources>(
  key: Key,
  ask: Readers[Key],
  { observed, source: { meter }, tenants }: {
    readonly observed: readonly Observed[];
    readonly source: InstrumentSource;
    readonly tenants: Tenants;
  },
): void {
  const showing = observed.flatMap(({ metric, instrument }) => {
    const show = metric.feed.reads[key];
    return show === undefined ? [] : [{ show, instrument, isOfTenants: isByTenant(metric.about) }];
  });
  if (showing.length === 0) return;
  meter.addBatchObservableCallback(async (result) => {
    const value = await ask();
    for (const { show, instrument, isOfTenants } of showing) {
      const shown = show(value);
      const series = typeof shown === "object" ? shown : [[shown, {}] as const];
      const shownSeries = isOfTenants ? mergeTenants(series, tenants) : series;
      for (const [each, labels] of shownSeries) if (each !== undefined) result.observe(instrument, each, labels);
    }
  }, showing.map(({ instrument }) => instrument));
}

/** The sums of series that have the same labels once tenants without a label value of their own are `_other`. */
function mergeTenants(
  series: readonly (readonly [number | undefined, Labels<string>])[],
  tenants: Tenants,
): readonly (readonly [number, Attributes])[] {
  const merged = new Map<unknown, readonly [number, Attributes]>();
  for (const [value, { [TENANT_LABEL]: tenant = "" }] of series) {
    if (value === undefined) continue;
    const labels = tenants.labels(tenant);
    const shown = labels[TENANT_LABEL];
    merged.set(shown, [(merged.get(shown)?.[0] ?? 0) + value, labels]);
  }
  return [...merged.values()];
}

/** The maker of instruments. */
export type InstrumentSource = Pick<Observability, "meter" | "createCounter" | "createHistogram">;

/** The maker of instruments, and the label values that are known from the start. */
export interface InstrumentOptions {
  readonly source: InstrumentSource;
  /** Names of the L2 tiers, in the order they are asked. */
  readonly adapters: readonly string[];
  readonly tenants: Tenants;
}

/** Takes a measurement of an event that stands for `count` events. */
type Recorder = (measured: Measured | Measured<never>, count: number) => void;

/** Makes the instrument of a metric that is not read at collection, with its zero series. */
function recorderOf(metric: Metric, options: InstrumentOptions): Recorder {
  const { kind, name, about } = metric;
  const { source, tenants } = options;
  const described = { description: about.help, unit: about.unit };
  if (kind === "gauge") return inFlightRecorder(metric, options);
  if (kind === "histogram") {
    const histogram = source.createHistogram(name, { ...described, bounds: about.bounds ?? [] });
    if (isByTenant(about)) tenants.add(histogram);
    return recordInto((value, group) => histogram.record(value, group), { about, tenants });
  }
  const zero = zeroSeries(metric, options);
  if (isByTenant(about)) {
    const counter = source.createCounter(name, described);
    for (const attributes of zero) counter.add(0, attributes);
    tenants.add(counter);
    return recordInto((value, { attributes }) => counter.add(value, attributes), { about, tenants });
  }
  const counter = source.meter.createCounter(name, described);
  for (const attributes of zero) counter.add(0, attributes);
  return recordInto((value, { attributes }) => counter.add(value, attributes), { about, tenants });
}

/** Makes the instrument of a metric that is read at collection. */
function observableOf(
  { kind, name, about }: Metric,
  { meter }: InstrumentSource,
): ObservableCounter | ObservableGauge {
  const described = { description: about.help, unit: about.unit };
  return kind === "counter"
    ? meter.createObservableCounter(name, described)
    : meter.createObservableGauge(name, described);
}

/** The label sets of a metric's zero series. A histogram has none: its series begin with their first value. */
export function zeroSeries(
  { kind, about: { zero, labels = [] } }: Metric,
  { adapters }: Pick<InstrumentOptions, "adapters">,
): readonly Attributes[] {
  const valuesOf = (values: LabelValues): readonly string[] =>
    values === "adapters" ? adapters : values === "tiers" ? ["l1", ...adapters] : values;
  if (kind === "histogram") return [];
  if (zero === undefined) return labels.length === 0 ? [{}] : [];
  return zero.flatMap((set) =>
    Object.entries(set).reduce<readonly Attributes[]>(
      (partial, [label, values = []]) =>
        partial.flatMap((attributes) => valuesOf(values).map((value) => ({ ...attributes, [label]: value }))),
      [{}],
    )
  );
}

function isByTenant({ labels }: About): boolean {
  return labels?.includes(TENANT_LABEL) === true;
}

function recordInto(
  record: (value: number, group: { readonly count: number; readonly attributes: Attributes }) => void,
  { about, tenants }: { readonly about: About; readonly tenants: Tenants },
): Recorder {
  const attributesOf = isByTenant(about)
    ? ({ [TENANT_LABEL]: tenant = "" }: Labels<string>) => tenants.labels(tenant)
    : (labels: Labels<string>) => labels;
  return (measured, count) => {
    if (measured === undefined) return;
    if (typeof measured === "number") return record(measured, { count, attributes: {} });
    if (isLabelled(measured)) return record(measured[0], { count, attributes: attributesOf(measured[1]) });
    for (const value of measured) record(value, { count: 1, attributes: {} });
  };
}

function isLabelled(measured: readonly number[] | NonNullable<Measured>): measured is NonNullable<Measured> {
  return typeof measured[1] === "object";
}

/** Counts what has begun and not ended in each tier. */
function inFlightRecorder({ name, about }: Metric, { source, adapters }: InstrumentOptions): Recorder {
  const byTier = new Map<string, number>(adapters.map((tier) => [tier, 0]));
  // An aggregate of ends may arrive before its beginnings.
  const runningAt = (tier: string) => Math.max(0, byTier.get(tier) ?? 0);
  const gauge = source.meter.createObservableGauge(name, { description: about.help, unit: about.unit });
  gauge.addCallback((result) => {
    if (about.labels === undefined) {
      return result.observe(Array.from(byTier.keys(), runningAt).reduce((sum, running) => sum + running, 0));
    }
    for (const [index, tier] of adapters.entries()) {
      result.observe(runningAt(tier), { l2_name: tier, adapter_index: String(index) });
    }
  });
  return (measured) => {
    if (typeof measured !== "object" || !isLabelled(measured)) return;
    const [change, { tier = "" }] = measured;
    byTier.set(tier, (byTier.get(tier) ?? 0) + change);
  };
}
