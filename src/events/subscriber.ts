import type { EventMap, EventName, FieldValues } from "./catalogue.ts";
/**
 * Called on the collector's thread, never inside publish. A throw is counted under the subscriber's name and goes no
 * further.
 */
export type Handler<Name extends EventName> = (event: Delivered<Name>) => void;

/** Which events a subscriber takes, and what it does with them. */
export type Subscriptions = { readonly [Name in EventName]?: Handler<Name> };

/** Turns events into something else: numbers, log lines, spans. */
export interface Subscriber {
  /** What its exceptions are counted under. */
  readonly name: string;
  /** Read once, when it is subscribed. */
  readonly subscriptions: Subscriptions;
  /**
   * The events it wants one by one with their details while there is room; for all others exact groups do, and are far
   * cheaper.
   */
  readonly individual?: readonly EventName[];
  /**
   * The events it wants one by one where they belong to a followed request (they carry a `requestId`) or say why
   * something failed (they carry an `error`); the others come in groups.
   */
  readonly traced?: readonly EventName[];
  /** Called once, after the last event. A throw is counted like a handler's. */
  shutdown?(): void | Promise<void>;
}

/**
 * How closely an event type is listened to: in groups, one by one for followed requests and failures, or one by one.
 */
export type SubscriptionLevel = "aggregated" | "traced" | "individual";

/** How a level is written in shared memory. */
export const LEVEL = { none: 0, aggregated: 1, traced: 2, individual: 3 } as const satisfies Readonly<
  Record<SubscriptionLevel | "none", number>
>;

/** How closely each event type is listened to; a type that is not in the map is not listened to at all. */
export type SubscriptionLevels = ReadonlyMap<EventName, SubscriptionLevel>;

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
