import type { Attributes } from "@opentelemetry/api";
import type { Delivered, Subscriber, Subscriptions } from "../../events/subscriber.ts";
import { BoundedMap } from "../bounded_map.ts";
import { type RecordSpan, traceOf } from "./requests.ts";

/**
 * Makes spans of a request's use of L1: from the reservation of a write to its admission, and from the lookup of a read
 * to its release.
 */
export class StorageTracing implements Subscriber {
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
  "l2.lookup.completed" | "l2.load.completed" | "l2.store.completed" | "l2.delete.completed"
>;

/**
 * Makes spans of the calls to tiers for a request, including the flush of a write, which may begin after its request.
 */
export class L2Tracing implements Subscriber {
  readonly name = "tracing.l2";
  readonly subscriptions: Subscriptions;
  readonly traced = [
    "l2.lookup.completed",
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
      "l2.load.completed": onCompleted,
      "l2.store.completed": onCompleted,
      "l2.delete.completed": onCompleted,
    };
  }
}
