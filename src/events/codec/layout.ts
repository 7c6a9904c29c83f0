import { catalogue, type EventName } from "../catalogue.ts";
import { eventNames } from "../schema.ts";

/**
 * A packed batch is one buffer: 64-bit floats in the machine's byte order, then a JSON array of strings in UTF-8.
 *
 *     header     5 numbers, see HEADER
 *     counts     per type that has occurred: type, published, shed
 *     singles    type, timeMs, the fields
 *     groups     type, timeMs, count, the fields without details
 *
 * A type is its place in the catalogue, the fields are in the catalogue's order, a string is its place in the array of
 * strings (ABSENT if there is none).
 */
export const HEADER = {
  sequence: 0,
  counts: 1,
  singles: 2,
  groups: 3,
  /** Where the strings begin, in numbers from the start. */
  stringsAt: 4,
  words: 5,
} as const;

/** Stands for a detail that the event does not have. */
export const ABSENT = -1;

/** One field of an event type. */
export interface FieldPlan {
  readonly name: string;
  /** Labels repeat, so each value is stored once a batch; details do not. */
  readonly kind: "number" | "label" | "detail";
}

/** How events of one type are packed. */
export interface EventPlan {
  readonly name: EventName;
  readonly fields: readonly FieldPlan[];
}

/** The catalogue as the codec sees it, in its order. */
export const plans: readonly EventPlan[] = eventNames.map((name) => ({
  name,
  fields: Object.entries(catalogue[name].fields).map(([field, { kind }]) => ({
    name: field,
    kind: kind === "label" || kind === "detail" ? kind : "number",
  })),
}));
