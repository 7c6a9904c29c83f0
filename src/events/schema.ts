import { catalogue, type EventName } from "./catalogue.ts";

/** An event type's fields sorted by what folding does with them. */
export interface EventSchema {
  readonly name: EventName;
  readonly labels: readonly string[];
  /** Labels whose values clients choose: past a limit they are folded under OTHER. */
  readonly openLabels: ReadonlySet<string>;
  readonly sums: readonly string[];
  /** The one field measured against `bounds`, if there is one. */
  readonly histogram: string | undefined;
  /** Inclusive upper bounds of the buckets, ascending; the last bucket has none. */
  readonly bounds: readonly number[];
}

/** The label value that stands for the rest when an open label has too many values. */
export const OTHER = "_other";

/** An event's fields with their types forgotten. */
export type FieldValues = Readonly<Record<string, string | number | undefined>>;

/** The catalogue's entry for one event type, in the order of its fields. */
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

/** Every event's name, in the order of the catalogue. */
export const eventNames: readonly EventName[] = Object.keys(catalogue).filter(isEventName);

function isEventName(name: string): name is EventName {
  return Object.hasOwn(catalogue, name);
}
