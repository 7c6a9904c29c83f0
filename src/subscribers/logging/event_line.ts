import type { EventName } from "../../events/catalogue.ts";
import type { Delivered, Subscriber, SubscriptionLevel, Subscriptions } from "../../events/subscriber.ts";
import type { Level, Log } from "./log.ts";
import type { OncePerMinute, Outages } from "./repetition.ts";
/** The fields of a line, by name. */
export type Fields = Readonly<Record<string, string | number>>;

/** The part of a line that depends on its event. The message is a fixed text. */
export type LineText = readonly [level: Level, message: string, fields: Fields];

/** An event's statement about an outage (class Outages). */
export interface Outage {
  /** The name of the thing that fails. */
  readonly kind: string;
  /** With "fails", the line has the number of failures that it stands for. */
  readonly state: "fails" | "works" | "unknown";
  readonly cause: string;
  /** The line for the end of the outage. Default: none. */
  readonly over?: readonly [message: string, fields: Fields];
}

/** Options of an event's line. */
interface LineOptions<Name extends EventName> {
  /** The subscription level, unless the log's level is debug. Default: aggregated. */
  readonly wants?: SubscriptionLevel | "nothing";
  /** The subscription level if the log's level is debug. Default: the same. */
  readonly wantsAtDebug?: SubscriptionLevel;
  readonly outage?: (event: Delivered<Name>) => Outage;
  /** The kind of the line; one line per kind and minute is written, and none if undefined. Default: all are written. */
  readonly oncePer?: (event: Delivered<Name>) => string | undefined;
}

/** The log, and the state that limits repeated lines. */
export interface LineSink {
  readonly log: Log;
  readonly outages: Outages;
  readonly oncePerMinute: OncePerMinute;
  readonly monotonicMs: () => number;
}

/** One entry of the table of lines: an event and the line that it makes. */
export interface EventLine {
  readonly event: EventName;
  /** The subscription level of the event. */
  readonly subscriptionLevel: (isDebug: boolean) => SubscriptionLevel | "nothing";
  /** The handler that writes the line. */
  readonly handler: (component: string, sink: LineSink) => Subscriptions;
}

/** The lines of a component, by the name that they are logged with. */
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
        if (
          oncePer !== undefined &&
          (kind === undefined || !sink.oncePerMinute.isDue(`${event} ${kind}`, happened.timeMs))
        ) {
          return;
        }
        const outage = outageOf?.(happened);
        const outageFields = outage === undefined ? {} : noteOutage(outage, happened, { component, ...sink });
        if (outageFields === undefined) return;
        const [level, message, fields] = text(happened);
        const attributes = { ...fields, ...outageFields };
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
 * Records a failure or a success and returns its fields for the line; undefined if the line is suppressed. Writes a
 * separate line at the end of an outage.
 */
function noteOutage(
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
