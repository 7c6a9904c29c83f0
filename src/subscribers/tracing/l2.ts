import type { Delivered } from "../../events/delivered.ts";
import type { Subscriber, Subscriptions } from "../../events/subscriber.ts";
import { type RecordSpan, traceOf } from "./span.ts";

type Completed = Delivered<
  "l2.lookup.completed" | "l2.load.completed" | "l2.store.completed" | "l2.delete.completed"
>;

/**
 * Makes spans of what the tiers do for a request, also of the store behind a write, which may begin when its request is
 * over.
 */
export class L2Tracing implements Subscriber {
  readonly name = "tracing.l2";
  readonly subscriptions: Subscriptions;
  readonly followed = [
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
