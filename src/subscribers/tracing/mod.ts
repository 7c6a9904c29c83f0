import type { Subscriber } from "../../events/subscriber.ts";
import { L2Tracing, StorageTracing } from "./storage.ts";
import { type RecordSpan, RequestTracing } from "./requests.ts";

/** The tracing subscribers and their numbers. */
export interface Tracing {
  readonly subscribers: readonly Subscriber[];
  /** By subscriber: what has begun and not ended, and what was given up. */
  readonly correlations: () => ReadonlyMap<string, { readonly pending: number; readonly dropped: number }>;
}

/** Every tracing subscriber, ready to be subscribed. `record`: initObservability's recordSpan. */
export function tracingSubscribers(record: RecordSpan): Tracing {
  const requests = new RequestTracing(record);
  const storage = new StorageTracing(record);
  return {
    subscribers: [requests, storage, new L2Tracing(record)],
    correlations: () => new Map([requests, storage].map((each) => [each.name, each.numbers()])),
  };
}
