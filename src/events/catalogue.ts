import type { Field, FieldKind } from "./catalogue/fields.ts";
import { l1Events } from "./catalogue/l1.ts";
import { l2Events } from "./catalogue/l2.ts";
import { requestEvents } from "./catalogue/requests.ts";
import { storageEvents } from "./catalogue/storage.ts";
import { threadEvents } from "./catalogue/threads.ts";

export { COUNT_BOUNDS, LATENCY_BOUNDS, RATE_BOUNDS, SIZE_BOUNDS } from "./catalogue/fields.ts";

/**
 * Every event, declared once. Types, the layout of counters and records in shared memory and docs/EVENTS.md all come
 * from this table.
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

/** What each event carries when it is published: labels and numbers always, details if known. */
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
