import type { EventName } from "../../events/catalogue.ts";
import { eventNames } from "../../events/schema.ts";
import type { Handler, Subscriber, Subscriptions } from "../../events/subscriber.ts";
import {
  type InstrumentOptions,
  type InstrumentSource,
  observableOf,
  type Recorder,
  recorderOf,
} from "./instruments.ts";
import type { Family, MeasureContext, Metric } from "./metric.ts";
import type { ProcessSource, Readers, Sources } from "./sources.ts";

/** The parts of a server that its metrics are made with. */
export interface FamilyOptions extends InstrumentOptions {
  readonly context: MeasureContext;
  readonly readers: Readers;
  readonly process: ProcessSource;
}

/** A metric that is fed, and its instrument. */
interface Fed {
  readonly metric: Metric;
  readonly record: Recorder;
}

/** A metric that is read when the metrics are collected, and its instrument. */
interface Observed {
  readonly metric: Metric;
  readonly instrument: ReturnType<typeof observableOf>;
}

/** Makes the metrics of a family, and the subscriber that feeds them: it listens to the events that they measure. */
export function familySubscriber({ name, metrics }: Family, options: FamilyOptions): Subscriber {
  const { source, readers, process, context } = options;
  const isObserved = ({ feed }: Metric) => Object.keys(feed.reads).length > 0;
  const observed = metrics.filter(isObserved).map((metric) => ({ metric, instrument: observableOf(metric, source) }));
  const isSource = (key: string): key is keyof Sources => Object.hasOwn(readers, key);
  for (const key of Object.keys(readers).filter(isSource)) showSource(key, readers[key], { observed, source });
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
    detail: metrics.flatMap(({ feed }) => feed.detail),
    shutdown: () => stops.forEach((stop) => stop()),
  };
}

/** Hands an event to every metric that measures it. */
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

/** Shows the metrics that read a source. It is asked once for all of them. */
function showSource<Key extends keyof Sources>(
  key: Key,
  ask: Readers[Key],
  { observed, source: { meter } }: { readonly observed: readonly Observed[]; readonly source: InstrumentSource },
): void {
  const showing = observed.flatMap(({ metric, instrument }) => {
    const show = metric.feed.reads[key];
    return show === undefined ? [] : [{ show, instrument }];
  });
  if (showing.length === 0) return;
  meter.addBatchObservableCallback(async (result) => {
    const value = await ask();
    for (const { show, instrument } of showing) {
      const shown = show(value);
      const series = typeof shown === "object" ? shown : [[shown, {}] as const];
      for (const [each, labels] of series) if (each !== undefined) result.observe(instrument, each, labels);
    }
  }, showing.map(({ instrument }) => instrument));
}
