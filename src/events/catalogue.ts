import type { Field, FieldKind } from "./catalogue/fields.ts";
import { l1Events, storageEvents } from "./catalogue/storage.ts";
import { l2Events } from "./catalogue/l2.ts";
import { requestEvents, threadEvents } from "./catalogue/server.ts";
export { COUNT_BOUNDS, LATENCY_BOUNDS, RATE_BOUNDS, SIZE_BOUNDS } from "./catalogue/fields.ts";

/**
 * All events. Types, the layout of counters and records in shared memory, and docs/EVENTS.md are derived from this
 * table.
 */
export const catalogue = { ...requestEvents, ...l1Events, ...storageEvents, ...l2Events, ...threadEvents };

type Catalogue = typeof catalogue;
type Simplify<T> = { [K in keyof T]: T[K] };
type ValueOf<F> = F extends Field<FieldKind, infer Value> ? Value : never;
type DetailNames<Fields> = {
  [K in keyof Fields]: Fields[K] extends Field<"detail", infer _> ? K : never;
}[keyof Fields];

/** An event's name. */
export type EventName = keyof Catalogue;

/** The fields of each event when it is published: labels and numbers are required, details are optional. */
export type EventMap = {
  [Name in EventName]: Simplify<
    & {
      readonly [K in Exclude<keyof Catalogue[Name]["fields"], DetailNames<Catalogue[Name]["fields"]>>]: ValueOf<
        Catalogue[Name]["fields"][K]
      >;
    }
    & { readonly [K in DetailNames<Catalogue[Name]["fields"]>]?: ValueOf<Catalogue[Name]["fields"][K]> | undefined }
  >;
};

/** The fields of an event type, by their role in aggregation. */
export interface EventSchema {
  readonly name: EventName;
  readonly labels: readonly string[];
  /** Labels whose values clients choose. Past a limit, further values are counted under OTHER. */
  readonly openLabels: ReadonlySet<string>;
  readonly sums: readonly string[];
  /** The field that is measured against `bounds`, if there is one. */
  readonly histogram: string | undefined;
  /** Inclusive upper bounds of the buckets, ascending; the last bucket has none. */
  readonly bounds: readonly number[];
}

/** The label value for all values past the limit of an open label. */
export const OTHER = "_other";

/** The fields of an event of any type. */
export type FieldValues = Readonly<Record<string, string | number | undefined>>;

/** The schema of an event type, in the order of its fields. */
export function schemaOf(name: EventName): EventSchema {
  const fields = Object.entries(catalogue[name].fields);
  const named = (kind: string) => fields.filter(([, field]) => field.kind === kind).map(([field]) => field);
  const [histogram] = fields.filter(([, field]) => field.kind === "histogram");
  return {
    name,
    labels: named("label"),
    openLabels: new Set(fields.filter(([, field]) => field.open === true).map(([field]) => field)),
    sums: named("sum"),
    histogram: histogram?.[0],
    bounds: histogram?.[1].bounds ?? [],
  };
}

/** All event names, in the order of the catalogue. */
export const eventNames: readonly EventName[] = Object.keys(catalogue).filter(isEventName);

function isEventName(name: string): name is EventName {
  return Object.hasOwn(catalogue, name);
}
