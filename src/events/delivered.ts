import type { EventMap, EventName } from "./catalogue.ts";
import type { FieldValues } from "./schema.ts";

/** What the bus adds to an event's own fields. */
export type Envelope<Name extends EventName> = {
  readonly name: Name;
  /** Milliseconds since the epoch: of publish; for a group, of the look that found it. */
  readonly timeMs: number;
  /** How many events this stands for. */
  readonly count: number;
  /** Whether this is a group: one set of label values and one histogram bucket. */
  readonly folded: boolean;
};

/**
 * What a subscriber receives, the same shape for a single event and for a group of folded ones. In a group, sums are
 * totals, a histogram field is the mean of its values (which all lie in one bucket, as the mean does), and details are
 * missing.
 */
export type Delivered<Name extends EventName> = { [N in Name]: Envelope<N> & EventMap[N] }[Name];

/**
 * Puts an event together from fields that come from the catalogue's own schema: the one place where the compiler has to
 * be told.
 */
export function deliver(envelope: Envelope<EventName>, fields: FieldValues): Delivered<EventName> {
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the fields were looked up in the catalogue
  return { ...fields, ...envelope } as Delivered<EventName>;
}
