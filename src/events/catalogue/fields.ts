/**
 * The kinds of fields:
 * - label: a string from a small set. Events are aggregated per label value, so counts stay exact per label.
 * - sum: a number that is added up when events are aggregated.
 * - histogram: a number >= 0 measured against bounds, at most one per event. There is one aggregate per bucket, so
 *   bucket counts and the sum stay exact.
 * - detail: a string that only individual events carry.
 */
export type FieldKind = "label" | "sum" | "histogram" | "detail";

export interface Field<Kind extends FieldKind, Value> {
  readonly kind: Kind;
  readonly doc: string;
  /** Upper bounds of the buckets, ascending; only for histograms. */
  readonly bounds?: readonly number[];
  /** Only for labels: all values, where the set is closed. */
  readonly values?: readonly Value[];
  /** Only for labels: clients choose the values, so the number of separate values is limited. */
  readonly open?: boolean;
  /** Never set; carries the field's type. */
  readonly value?: Value;
}

interface Choice<Value> extends Field<"label", Value> {
  readonly values: readonly Value[];
}

export const label = (doc: string): Field<"label", string> => ({ kind: "label", doc });
export const oneOf = <const Value extends string>(values: readonly Value[], doc: string): Choice<Value> => ({
  kind: "label",
  doc,
  values,
});
const openLabel = (doc: string): Field<"label", string> => ({ kind: "label", doc, open: true });
export const sum = (doc: string): Field<"sum", number> => ({ kind: "sum", doc });
export const detail = (doc: string): Field<"detail", string> => ({ kind: "detail", doc });
export const seconds = (doc: string): Field<"histogram", number> => ({
  kind: "histogram",
  doc,
  bounds: LATENCY_BOUNDS,
});

/** Bytes: powers of four from 1 KiB to 64 MiB. */
export const SIZE_BOUNDS: readonly number[] = Array.from({ length: 9 }, (_, power) => 1024 * 4 ** power);

/** Seconds: from 50 us (an L1 hit) to 10 s, so that the HTTP default (5 ms …) is a subset. */
export const LATENCY_BOUNDS: readonly number[] = [
  0.00005,
  0.0001,
  0.00025,
  0.0005,
  0.001,
  0.0025,
  0.005,
  0.01,
  0.025,
  0.05,
  0.075,
  0.1,
  0.25,
  0.5,
  0.75,
  1,
  2.5,
  5,
  7.5,
  10,
];

/** Counts: powers of two from 1 to the maximum number of changes in a commit. */
export const COUNT_BOUNDS: readonly number[] = Array.from({ length: 10 }, (_, power) => 2 ** power);

/** Gigabytes per second, from a slow network to memory. */
export const RATE_BOUNDS: readonly number[] = [
  0.001,
  0.0025,
  0.005,
  0.01,
  0.025,
  0.05,
  0.1,
  0.25,
  0.5,
  1,
  2.5,
  5,
  10,
  25,
  50,
];

export const rate = (doc: string): Field<"histogram", number> => ({ kind: "histogram", doc, bounds: RATE_BOUNDS });
export const size = (doc: string): Field<"histogram", number> => ({ kind: "histogram", doc, bounds: SIZE_BOUNDS });
export const count = (doc: string): Field<"histogram", number> => ({ kind: "histogram", doc, bounds: COUNT_BOUNDS });

export const tenant = openLabel('The object\'s tenant, "" by default.');
export const tier = label("The L2 adapter's name.");
export const keys = sum("Number of objects.");
export const bytes = sum("Payload bytes of the objects.");
export const key = detail(
  "The object's key, if the event is about one object and the publisher has the key as text (storage does, L1 does not).",
);
export const error = detail(
  "The reason for the failure: the messages of the error and its causes in one line. Subscribers to traced events get every event that carries it individually.",
);
export const route = label(
  "The route's template; _other if no route matches the path and method, or if the host is refused.",
);
export const requestId = detail(
  "The HTTP request that this event belongs to: the `traceparent` of its response, if the request is traced.",
);

/** A group of events: for each name, its documentation and its fields. */
export type EventFamily = Readonly<
  Record<string, { readonly doc: string; readonly fields: Readonly<Record<string, Field<FieldKind, string | number>>> }>
>;
