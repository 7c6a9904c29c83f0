import type { Subscriber } from "../../events/subscriber.ts";
import { L2Tracing, StorageTracing } from "./storage.ts";
import { type RecordSpan, RequestTracing } from "./requests.ts";

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
