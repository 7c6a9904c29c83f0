import type { EventName } from "../../events/catalogue.ts";
import type { Delivered, Subscriber, SubscriptionLevel, Subscriptions } from "../../events/subscriber.ts";
import type { Level, Log } from "./log.ts";
import type { Outages, RecentlyTold } from "./repetition.ts";
/** The particulars of a line, by name. */
export type Fields = Readonly<Record<string, string | number>>;

/** The line of an event, without what all lines have. The message is a fixed text. */
export type LineText = readonly [level: Level, message: string, fields: Fields];

/** The part of an event in an outage, as class Outages keeps it. */
export interface Outage {
  /** The name of the thing that fails. */
  readonly kind: string;
  /** With "fails", the line tells how many failures it stands for. With "unknown", the event says nothing about it. */
  readonly state: "fails" | "works" | "unknown";
  readonly cause: string;
  /** The line that tells that it works again; by default there is none. */
  readonly over?: readonly [message: string, fields: Fields];
}

/** Options of an event's line. */
interface LineOptions<Name extends EventName> {
  /** The subscriptionLevel with which the event is listened to at levels above debug. Default: "folded", in groups. */
  readonly wants?: SubscriptionLevel | "nothing";
  /** The subscriptionLevel at level debug. Default: as at the other levels. */
  readonly wantsAtDebug?: SubscriptionLevel;
  readonly outage?: (event: Delivered<Name>) => Outage;
  /** The kind of the line, of which one is written a minute; undefined: it is not worth a line. Default: all are. */
  readonly oncePer?: (event: Delivered<Name>) => string | undefined;
}

/** The log, and the outages that its lines belong to. */
export interface LineSink {
  readonly log: Log;
  readonly outages: Outages;
  readonly told: RecentlyTold;
  readonly monotonicMs: () => number;
}

/** One entry of the table of lines: an event and the line that it makes. */
export interface EventLine {
  readonly event: EventName;
  /** The subscriptionLevel with which the event is listened to. */
  readonly subscriptionLevel: (isDebug: boolean) => SubscriptionLevel | "nothing";
  /** The handler that writes the line. */
  readonly handler: (component: string, sink: LineSink) => Subscriptions;
}

/** Lines of one component, the name under which they are written. */
export interface Component {
  readonly component: string;
  readonly lines: readonly EventLine[];
}

/** Declares the line that an event makes. */
export function on<Name extends EventName>(
  event: Name,
  text: (event: Delivered<Name>) => LineText,
  { wants = "aggregated", wantsAtDebug, outage: outageOf, oncePer }: LineOptions<Name> = {},
): EventLine {
  return {
    event,
    subscriptionLevel: (isDebug) => isDebug ? wantsAtDebug ?? wants : wants,
    handler: (component, sink) => ({
      [event](happened: Delivered<Name>) {
        const kind = oncePer?.(happened);
        if (oncePer !== undefined && (kind === undefined || !sink.told.isDue(`${event} ${kind}`, happened.timeMs))) {
          return;
        }
        const outage = outageOf?.(happened);
        const folded = outage === undefined ? {} : fold(outage, happened, { component, ...sink });
        if (folded === undefined) return;
        const [level, message, fields] = text(happened);
        const attributes = { ...fields, ...folded };
        const requestId = "requestId" in happened && typeof happened.requestId === "string"
          ? happened.requestId
          : undefined;
        sink.log.line({ level, component, message, timeMs: happened.timeMs, attributes, requestId });
      },
    }),
  };
}

/** Makes the subscriber that writes the lines of a component. */
export function componentSubscriber({ component, lines }: Component, sink: LineSink): Subscriber {
  const subscriptionLevel = (line: EventLine) => line.subscriptionLevel(sink.log.writes("debug"));
  const heard = lines.filter((line) => subscriptionLevel(line) !== "nothing");
  const eventsHeard = (how: SubscriptionLevel) =>
    heard.filter((line) => subscriptionLevel(line) === how).map(({ event }) => event);
  return {
    name: `logging.${component}`,
    subscriptions: heard.reduce<Subscriptions>((others, line) => ({ ...others, ...line.handler(component, sink) }), {}),
    individual: eventsHeard("individual"),
    traced: eventsHeard("traced"),
  };
}

/**
 * Notes a failure or a success and returns the fields that the line gets for it; undefined if the line is not written.
 * Writes a line of its own when an outage is over.
 */
function fold(
  { kind, state, cause, over }: Outage,
  { timeMs, count }: { readonly timeMs: number; readonly count: number },
  { component, log, outages, monotonicMs }: LineSink & { readonly component: string },
): Fields | undefined {
  if (state === "fails") {
    const failures = outages.failed(kind, { cause, monotonicMs: monotonicMs(), count });
    return failures === undefined ? undefined : { failures };
  }
  const failures = state === "works" ? outages.worked(kind, monotonicMs()) : undefined;
  if (failures !== undefined && over !== undefined) {
    const [message, fields] = over;
    log.line({ level: "info", component, message, timeMs, attributes: { ...fields, failures } });
  }
  return {};
}
