import type { Attributes } from "@opentelemetry/api";
import { parseTraceParent, type TraceContext } from "../core/events.ts";
import type { Delivered, Subscriber, Subscriptions } from "../events/subscriber.ts";
import type { FinishedSpan, SpanEvent } from "../telemetry/mod.ts";
import { BoundedMap } from "./bounded_map.ts";

/** A request in progress. */
interface Begun {
  readonly startMs: number;
  readonly traceParent: string | undefined;
  readonly events: SpanEvent[];
}

/** Maximum number of events of a span. */
const MAX_EVENTS = 64;

/** Makes a span of every sampled request, a child of the caller's span; events on the way become span events. */
class RequestTracing implements Subscriber {
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
type RecordSpan = (span: FinishedSpan) => void;

/** The trace of an event's request; undefined if the request is not sampled. */
function traceOf(requestId: string | undefined): TraceContext | undefined {
  const context = requestId === undefined ? undefined : parseTraceParent(requestId);
  return context?.sampled ? context : undefined;
}

/**
 * Makes spans of a request's use of L1: from the reservation of a write to its admission, and from the lookup of a read
 * to its release.
 */
class StorageTracing implements Subscriber {
  readonly name = "tracing.storage";
  readonly subscriptions: Subscriptions;
  readonly traced = [
    "sm.read.prefetched",
    "lookup.finished",
    "sm.read.finished",
    "sm.read.aborted",
    "sm.write.reserved",
    "sm.write.finished",
  ] as const;
  /** Start times, by kind and request. */
  readonly #pending = new BoundedMap<number>();
  readonly #record: RecordSpan;

  constructor(record: RecordSpan) {
    this.#record = record;
    this.subscriptions = {
      "sm.read.prefetched": ({ requestId, timeMs }) => this.#begin("read", requestId, timeMs),
      // A read that finds nothing releases nothing.
      "lookup.finished": ({ requestId, timeMs, result }) => {
        if (result === "hit") return;
        const attributes = { "vitrine.result": result };
        this.#end("read", requestId, { timeMs, attributes, failed: result === "error" });
      },
      "sm.read.finished": ({ requestId, timeMs, bytes }) =>
        this.#end("read", requestId, { timeMs, attributes: { "vitrine.bytes": bytes }, failed: false }),
      "sm.read.aborted": ({ requestId, timeMs }) =>
        this.#end("read", requestId, { timeMs, attributes: {}, failed: true }),
      "sm.write.reserved": ({ requestId, timeMs, failed }) => {
        this.#begin("write", requestId, timeMs);
        if (failed > 0) this.#end("write", requestId, { timeMs, attributes: {}, failed: true });
      },
      "sm.write.finished": ({ requestId, timeMs, outcome, bytes }) =>
        this.#end("write", requestId, {
          timeMs,
          attributes: { "vitrine.outcome": outcome, "vitrine.bytes": bytes },
          failed: outcome === "aborted",
        }),
    };
  }

  /** Reads and writes in progress, and those that were dropped. */
  numbers(): ReturnType<BoundedMap<number>["numbers"]> {
    return this.#pending.numbers();
  }

  #begin(kind: "read" | "write", requestId: string | undefined, timeMs: number): void {
    if (traceOf(requestId) !== undefined) this.#pending.set(`${kind} ${requestId}`, timeMs);
  }

  #end(
    kind: "read" | "write",
    requestId: string | undefined,
    { timeMs, attributes, failed }: {
      readonly timeMs: number;
      readonly attributes: Attributes;
      readonly failed: boolean;
    },
  ): void {
    const context = traceOf(requestId);
    const startMs = this.#pending.take(`${kind} ${requestId}`);
    if (context === undefined || startMs === undefined) return;
    this.#record({
      name: `storage.${kind}`,
      kind: "internal",
      traceId: context.traceId,
      parentSpanId: context.spanId,
      startMs,
      // Wall time may have been set back.
      endMs: Math.max(startMs, timeMs),
      attributes,
      failed,
    });
  }
}

type Completed = Delivered<
  | "l2.lookup.completed"
  | "l2.lookup_many.completed"
  | "l2.load.completed"
  | "l2.store.completed"
  | "l2.delete.completed"
>;

/**
 * Makes spans of the calls to tiers for a request, including the flush of a write, which may begin after its request.
 */
class L2Tracing implements Subscriber {
  readonly name = "tracing.l2";
  readonly subscriptions: Subscriptions;
  readonly traced = [
    "l2.lookup.completed",
    "l2.lookup_many.completed",
    "l2.load.completed",
    "l2.store.completed",
    "l2.delete.completed",
  ] as const;

  constructor(record: RecordSpan) {
    const onCompleted = (event: Completed) => {
      const { name, requestId, timeMs, seconds, tier, outcome } = event;
      const context = traceOf(requestId);
      if (context === undefined) return;
      record({
        name: name.replace(".completed", ""),
        kind: "client",
        traceId: context.traceId,
        parentSpanId: context.spanId,
        startMs: timeMs - seconds * 1000,
        endMs: timeMs,
        attributes: {
          "vitrine.tier": tier,
          "vitrine.outcome": outcome,
          ...("bytes" in event ? { "vitrine.bytes": event.bytes } : {}),
        },
        failed: outcome === "failed" || outcome === "error",
      });
    };
    this.subscriptions = {
      "l2.lookup.completed": onCompleted,
      "l2.lookup_many.completed": onCompleted,
      "l2.load.completed": onCompleted,
      "l2.store.completed": onCompleted,
      "l2.delete.completed": onCompleted,
    };
  }
}

/** The tracing subscribers and their numbers. */
export interface Tracing {
  readonly subscribers: readonly Subscriber[];
  /** By subscriber, start events that wait for their end event, and those that were dropped. */
  readonly correlations: () => ReadonlyMap<string, { readonly pending: number; readonly dropped: number }>;
}

/** Makes all tracing subscribers. `record`: recordSpan of an Observability. */
export function tracingSubscribers(record: RecordSpan): Tracing {
  const requests = new RequestTracing(record);
  const storage = new StorageTracing(record);
  return {
    subscribers: [requests, storage, new L2Tracing(record)],
    correlations: () => new Map([requests, storage].map((each) => [each.name, each.numbers()])),
  };
}
