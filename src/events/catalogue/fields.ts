/**
 * A field is one of
 * - label: a string from a small set; kept when events are counted together, so counts stay exact per label.
 * - sum: a number that is added up when events are counted together.
 * - histogram: a number >= 0 measured against bounds, at most one per event; there is one group per bucket, so bucket
 *   counts and the sum stay exact.
 * - detail: a string that only an individual event carries.
 */
export type FieldKind = "label" | "sum" | "histogram" | "detail";

export interface Field<Kind extends FieldKind, Value> {
  readonly kind: Kind;
  readonly doc: string;
  /** Upper bounds of the buckets, ascending; only for histograms. */
  readonly bounds?: readonly number[];
  /** Only for labels: every value there is, where the set is closed. */
  readonly values?: readonly Value[];
  /** Only for labels: clients choose the values, so their number is limited where they are kept apart. */
  readonly open?: boolean;
  /** Never read: carries the field's type. */
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
export const openLabel = (doc: string): Field<"label", string> => ({ kind: "label", doc, open: true });
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

/** How many of something, from 1 to the most changes of one commit: powers of two. */
export const COUNT_BOUNDS: readonly number[] = Array.from({ length: 10 }, (_, power) => 2 ** power);

/** Gigabytes a second, from a slow network to memory. */
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
export const keys = sum("How many objects.");
export const bytes = sum("Their bytes (payload).");
export const key = detail(
  "The object key, when the event concerns one object and its publisher has it as text: storage does, L1 does not.",
);
export const error = detail(
  "Why it failed: the messages of the error and its causes in one line. An event that carries it comes one by one to whoever follows its type.",
);
export const route = label(
  "The route's template; _other if no route has the path and the method, or the host is refused.",
);
export const requestId = detail(
  "The HTTP request this belongs to: the `traceparent` of its response, if it is followed.",
);

/** Some of the events. */
export type EventFamily = Readonly<
  Record<string, { readonly doc: string; readonly fields: Readonly<Record<string, Field<FieldKind, string | number>>> }>
>;
