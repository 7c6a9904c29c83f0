import type { Every } from "../../core/clock.ts";
import type { BusStats } from "../../events/bus.ts";
import { type EventName, OTHER } from "../../events/catalogue.ts";
import type { Delivered } from "../../events/subscriber.ts";
import type { L1Usage, TenantQuota } from "../../l1/l1.ts";
import type { StorageStatus } from "../../storage/storage.ts";
import type { Observability } from "../../telemetry/mod.ts";
import type { L1Lives, Uses } from "./sampled_objects.ts";

/** A value for each label. */
export type Labels<Label extends string> = Readonly<Record<Label, string>>;

/**
 * A label's values that are known when the server starts: fixed ones, the names of the L2 adapters, or these and l1
 * ("tiers").
 */
export type LabelValues = readonly string[] | "tiers" | "adapters";

/** All combinations of the values of each label. */
export type SeriesSet<Label extends string = string> = Readonly<Partial<Record<Label, LabelValues>>>;

/** The description of a metric, for docs/METRICS.md and the exporters. */
export interface About<Label extends string = string> {
  /** UCUM. */
  readonly unit: string;
  readonly help: string;
  /** The question it answers. */
  readonly answers: string;
  /** Default: none. */
  readonly labels?: readonly Label[];
  /**
   * The series of a counter that exist at zero from the start. Default: the one without labels, if there are no labels.
   */
  readonly zero?: readonly SeriesSet<Label>[];
  /** Inclusive upper bounds of a histogram's buckets. */
  readonly bounds?: readonly number[];
}

/** The state that a measurement may use besides its event. */
export interface MeasureContext {
  /** Names of the L2 adapters, in the order they are asked. */
  readonly adapters: readonly string[];
  readonly lives: L1Lives;
  readonly uses: Uses;
}

/**
 * A number to add or to record, with its labels if the metric has any; a list of numbers is recorded one after the
 * other; undefined measures nothing. A histogram counts a number once for each event of an aggregate, and the numbers
 * of a list once.
 */
export type Measured<Label extends string = string> =
  | ([Label] extends [never] ? number | readonly number[] : readonly [number, Labels<Label>])
  | undefined;

/** A number, or one for each label set; undefined is not shown. */
export type Shown<Label extends string> = [Label] extends [never] ? number | undefined
  : readonly (readonly [number | undefined, Labels<Label>])[];

/** The measurements of a metric, by the event that feeds it. */
export type Measures = {
  readonly [Name in EventName]?: (event: Delivered<Name>, context: MeasureContext) => Measured | Measured<never>;
};

/** The values that a metric shows when the metrics are collected, by the source that it reads. */
export type Reads = { readonly [Key in keyof Sources]?: (value: Sources[Key]) => Shown<never> | Shown<string> };

/** Begins to record without any event. Returns a function that ends that. */
export type Run = (record: (value: number) => void, process: ProcessSource) => () => void;

/** The source of a metric's values. */
interface Feed {
  readonly measures: Measures;
  /** Events that the metric needs individually, with their details, while there is room. */
  readonly individual: readonly EventName[];
  readonly reads: Reads;
  readonly run?: Run;
}

/** One metric, declared once. */
export interface Metric {
  readonly kind: "counter" | "gauge" | "histogram";
  /** As /metrics and OTLP show it. The names are a contract. */
  readonly name: string;
  readonly about: About;
  readonly feed: Feed;
}

/** A metric to which feeds can be added. Each method returns a new declaration. */
class Declaration<Label extends string> implements Metric {
  readonly kind: Metric["kind"];
  readonly name: string;
  readonly about: About;
  readonly feed: Feed;

  constructor({ kind, name, about, feed }: Metric) {
    this.kind = kind;
    this.name = name;
    this.about = about;
    this.feed = feed;
  }

  /** Measures the events of a type, individual ones and exact aggregates. */
  on<Name extends EventName>(
    event: Name,
    measure: (event: Delivered<Name>, context: MeasureContext) => Measured<Label>,
  ): Declaration<Label> {
    const measures: Measures = { ...this.feed.measures, [event]: measure };
    return this.#with({ measures });
  }

  /** As `on`, but with individual events and their details, which cost far more than aggregates. */
  onEach<Name extends EventName>(
    event: Name,
    measure: (event: Delivered<Name>, context: MeasureContext) => Measured<Label>,
  ): Declaration<Label> {
    return this.on(event, measure).#with({ individual: [...this.feed.individual, event] });
  }

  /** Shows a state at collection. */
  read<Key extends keyof Sources>(source: Key, show: (value: Sources[Key]) => Shown<Label>): Declaration<Label> {
    const reads: Reads = { ...this.feed.reads, [source]: show };
    return this.#with({ reads });
  }

  /** Records by itself, without any event. */
  runs(run: Run): Declaration<Label> {
    return this.#with({ run });
  }

  #with(feed: Partial<Feed>): Declaration<Label> {
    const { kind, name, about } = this;
    return new Declaration({ kind, name, about, feed: { ...this.feed, ...feed } });
  }
}

const NOTHING: Feed = { measures: {}, individual: [], reads: {} };

/** Declares a number that only grows. */
export function counter<const Label extends string = never>(name: string, about: About<Label>): Declaration<Label> {
  return new Declaration<Label>({ kind: "counter", name, about, feed: NOTHING });
}

/** Declares a number that is read when the metrics are collected. */
export function gauge<const Label extends string = never>(
  name: string,
  about: About<Label>,
): Pick<Declaration<Label>, keyof Metric | "read"> {
  return new Declaration<Label>({ kind: "gauge", name, about, feed: NOTHING });
}

/** Declares a distribution of values. */
export function histogram<const Label extends string = never>(
  name: string,
  about: About<Label> & { readonly bounds: readonly number[] },
): Declaration<Label> {
  return new Declaration<Label>({ kind: "histogram", name, about, feed: NOTHING });
}

/**
 * Declares a gauge of what has begun and not ended in each tier: beginnings are measured as positive numbers, ends as
 * negative ones. It is shown per tier with LMCache's two labels, or summed over all tiers if it has no labels.
 */
export function inFlight(name: string, about: About): Declaration<"tier"> {
  return new Declaration<"tier">({ kind: "gauge", name, about, feed: NOTHING });
}

/** The label of tenants: LMCache's name for them. */
export const TENANT_LABEL = "cache_salt";

/** The labels of a metric by tenant. The tenant "" has no label. */
export const BY_TENANT = {
  labels: [TENANT_LABEL],
  zero: [{}, { [TENANT_LABEL]: [OTHER] }],
} as const satisfies Partial<About>;

/** Measures the objects of an event, by tenant. */
export function keysByTenant(
  event: { readonly keys: number; readonly tenant: string },
): [number, Labels<"cache_salt">] {
  return [event.keys, { [TENANT_LABEL]: event.tenant }];
}

/**
 * Metrics that one subscriber feeds. An exception in one of them is counted under the subscriber's name, and the
 * metrics behind it miss that event.
 */
export interface Family {
  /** The name of the subscriber. */
  readonly name: string;
  readonly metrics: readonly Metric[];
}

/** The state of a worker. */
export type WorkerState = "starting" | "ready" | "stopping" | "gone" | "stuck";

/** The program that runs. */
export interface Build {
  readonly version: string;
  /** E.g. "bun 1.4.5". */
  readonly runtime: string;
  /** When the server started, in milliseconds since the epoch. */
  readonly startMs: number;
}

/** The source of the process's numbers. */
export interface ProcessSource {
  /** Microseconds of processor time since the process began. */
  cpuUsage(): { readonly user: number; readonly system: number };
  /** Bytes. */
  residentBytes(): number;
  /** Milliseconds, never stepping back. */
  nowMs(): number;
  readonly every: Every;
}

/** The sources of metrics that no event feeds. */
export interface Sources {
  readonly l1: Pick<
    L1Usage,
    "objects" | "usedBytes" | "capacityBytes" | "stagingBytes" | "oldestAgeSeconds" | "repairs" | "holds" | "heldBytes"
  >;
  /** A tier that could not answer has no numbers. */
  readonly storage: Pick<StorageStatus, "l2" | "storeQueue">;
  readonly quotas: readonly Pick<TenantQuota, "tenant" | "limitBytes" | "usedBytes">[];
  readonly activeRequests: number;
  /** Number of prefetch jobs that run. */
  readonly prefetchJobs: number;
  /** One for each worker; a single isolate has none. */
  readonly workers: readonly WorkerState[];
  /**
   * Time for which the event loops of the storage thread and the file thread have been blocked; 0 if one is not, or if
   * there is no such thread.
   */
  readonly storageThreadStuckSeconds: { readonly storage: number; readonly file: number };
  readonly build: Build;
  /** Names of the L2 adapters, in the order they are asked. */
  readonly adapters: readonly string[];
  readonly process: {
    /** Seconds of processor time by mode. */
    readonly cpuSeconds: { readonly user: number; readonly system: number };
    readonly residentBytes: number;
    readonly uptimeSeconds: number;
  };
  readonly bus: BusStats;
  readonly exports: ReturnType<Observability["exports"]>;
  /** By subscriber, start events that wait for their end event, and those that were dropped. */
  readonly correlations: ReadonlyMap<string, { readonly pending: number; readonly dropped: number }>;
  readonly logLines: { readonly written: number; readonly suppressed: number; readonly lost: number };
}

/** Reads each source. A source is read once in a collection, and one that hangs costs only its own metrics. */
export type Readers = { readonly [Key in keyof Sources]: () => Sources[Key] | Promise<Sources[Key]> };

/** The sources about the state of the server. */
export type StateSource = Pick<
  Readers,
  | "l1"
  | "storage"
  | "quotas"
  | "activeRequests"
  | "prefetchJobs"
  | "workers"
  | "storageThreadStuckSeconds"
>;

/** The sources about logs, traces and their export. */
export type TelemetryNumbers = Pick<Readers, "exports" | "correlations" | "logLines">;
