import { parseTraceParent, type TraceContext } from "../../core/trace_context.ts";
import type { Delivered, Subscriber, Subscriptions } from "../../events/subscriber.ts";
import type { FinishedSpan, SpanEvent } from "../../telemetry/mod.ts";
import { BoundedMap } from "../bounded_map.ts";

/** A request in progress. */
interface Begun {
  readonly startMs: number;
  readonly traceParent: string | undefined;
  readonly events: SpanEvent[];
}

/** Maximum number of events of a span. */
const MAX_EVENTS = 64;

/** Makes a span of every sampled request, a child of the caller's span; events on the way become span events. */
export class RequestTracing implements Subscriber {
  readonly name = "tracing.requests";
  readonly subscriptions: Subscriptions;
  readonly traced = [
    "http.request.start",
    "http.request.end",
    "lookup.finished",
    "l1.allocation.failed",
    "l1.read.failed",
    "timeout.raised",
  ] as const;
  readonly #pending = new BoundedMap<Begun>();
  readonly #record: RecordSpan;

  constructor(record: RecordSpan) {
    this.#record = record;
    this.subscriptions = {
      "http.request.start": ({ requestId, traceParent, timeMs }) => {
        if (requestId === undefined || traceOf(requestId) === undefined) return;
        this.#pending.set(requestId, { startMs: timeMs, traceParent, events: [] });
      },
      "lookup.finished": ({ requestId, timeMs, tier, result, reason, bytes, tenant }) =>
        this.#add(requestId, {
          name: "lookup",
          timeMs,
          attributes: {
            "vitrine.tier": tier,
            "vitrine.result": result,
            "vitrine.reason": reason,
            "vitrine.bytes": bytes,
            "vitrine.tenant": tenant,
          },
        }),
      "l1.allocation.failed": ({ requestId, timeMs, during, bytes }) =>
        this.#add(requestId, {
          name: "l1.allocation.failed",
          timeMs,
          attributes: { "vitrine.during": during, "vitrine.bytes": bytes },
        }),
      "l1.read.failed": ({ requestId, timeMs, during, reason }) =>
        this.#add(requestId, {
          name: "l1.read.failed",
          timeMs,
          attributes: { "vitrine.during": during, "vitrine.reason": reason },
        }),
      "timeout.raised": ({ requestId, timeMs, exceptionType }) =>
        this.#add(requestId, { name: "timeout.raised", timeMs, attributes: { "vitrine.call": exceptionType } }),
      "http.request.end": (event) => this.#onEnd(event),
    };
  }

  /** Requests in progress, and those that were dropped. */
  numbers(): ReturnType<BoundedMap<Begun>["numbers"]> {
    return this.#pending.numbers();
  }

  #add(requestId: string | undefined, event: SpanEvent): void {
    const events = requestId === undefined ? undefined : this.#pending.get(requestId)?.events;
    if (events !== undefined && events.length < MAX_EVENTS) events.push(event);
  }

  #onEnd(event: Delivered<"http.request.end">): void {
    const { requestId, timeMs, seconds, method, route, status, outcome, headersMs } = event;
    const context = traceOf(requestId);
    if (requestId === undefined || context === undefined) return;
    const begun = this.#pending.take(requestId);
    // The start event may be missing; the end event has the duration.
    const startMs = begun?.startMs ?? timeMs - seconds * 1000;
    const events = [...begun?.events ?? []];
    if (headersMs !== undefined) {
      // The time that the client got in Server-Timing.
      events.push({ name: "headers", timeMs: startMs + Number(headersMs), attributes: {} });
    }
    this.#record({
      name: `${method} ${route}`,
      kind: "server",
      traceId: context.traceId,
      spanId: context.spanId,
      parentSpanId: begun?.traceParent === undefined ? undefined : parseTraceParent(begun.traceParent)?.spanId,
      startMs,
      // Not the time of the end event: wall time may have been changed.
      endMs: startMs + seconds * 1000,
      attributes: {
        "http.request.method": method,
        "http.route": route,
        "http.response.status_code": Number(status),
        "http.request.body.size": event.requestBytes,
        "http.response.body.size": event.responseBytes,
        "vitrine.tenant": event.tenant ?? "",
        ...(event.token === undefined ? {} : { "vitrine.token": event.token }),
        "vitrine.outcome": outcome,
      },
      events,
      failed: outcome === "aborted" || Number(status) >= 500,
    });
  }
}

/** Records a finished span. */
export type RecordSpan = (span: FinishedSpan) => void;

/** The trace of an event's request; undefined if the request is not sampled. */
export function traceOf(requestId: string | undefined): TraceContext | undefined {
  const context = requestId === undefined ? undefined : parseTraceParent(requestId);
  return context?.sampled ? context : undefined;
}
