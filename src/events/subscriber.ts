import type { EventMap, EventName, FieldValues } from "./catalogue.ts";

/**
 * Handles events of one type on the collector's thread, never inside publish. Exceptions are counted under the
 * subscriber's name and go no further.
 */
export type Handler<Name extends EventName> = (event: Delivered<Name>) => void;

/** The handlers of a subscriber, by event type. */
export type Subscriptions = { readonly [Name in EventName]?: Handler<Name> };

/** Turns events into metrics, log lines or spans. */
export interface Subscriber {
  /** The name under which its exceptions are counted. */
  readonly name: string;
  /** Read once, when the subscriber is added. */
  readonly subscriptions: Subscriptions;
  /**
   * Events that it wants individually, with their details, while there is room. All others arrive as exact aggregates,
   * which are far cheaper.
   */
  readonly individual?: readonly EventName[];
  /**
   * Events that it wants individually if they belong to a traced request (they have a `requestId`) or have the reason
   * for a failure (they have an `error`). The others arrive as aggregates.
   */
  readonly traced?: readonly EventName[];
  /** Called once, after the last event. Exceptions are counted like those of handlers. */
  shutdown?(): void | Promise<void>;
}

/**
 * The form in which an event type is wanted: aggregated, individual for traced requests and failures, or individual.
 */
export type SubscriptionLevel = "aggregated" | "traced" | "individual";

/** The codes of levels in shared memory. */
export const LEVEL = { none: 0, aggregated: 1, traced: 2, individual: 3 } as const satisfies Readonly<
  Record<SubscriptionLevel | "none", number>
>;

/** The level of each subscribed event type; other types have no subscriber. */
export type SubscriptionLevels = ReadonlyMap<EventName, SubscriptionLevel>;

/** The fields that the bus adds to an event. */
export type Envelope<Name extends EventName> = {
  readonly name: Name;
  /** Milliseconds since the epoch: the time of publish; for an aggregate, the time at which the collector read it. */
  readonly timeMs: number;
  /** The number of events that this stands for. */
  readonly count: number;
  /** True for an aggregate of events with the same label values and histogram bucket. */
  readonly folded: boolean;
};

/**
 * An event as a subscriber receives it: an individual event, or an aggregate of the same shape. In an aggregate, sums
 * are totals, a histogram field is the mean of its values (which are all in one bucket, like the mean), and details are
 * missing.
 */
export type Delivered<Name extends EventName> = { [N in Name]: Envelope<N> & EventMap[N] }[Name];

/** Makes an event from its fields, which must match the catalogue: the compiler cannot check that. */
export function deliver(envelope: Envelope<EventName>, fields: FieldValues): Delivered<EventName> {
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the fields were looked up in the catalogue
  return { ...fields, ...envelope } as Delivered<EventName>;
}
