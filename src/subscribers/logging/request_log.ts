import { createHash } from "node:crypto";
import { parseTraceParent } from "../../core/events.ts";
import type { Delivered, Subscriber, Subscriptions } from "../../events/subscriber.ts";
import { BoundedMap } from "../bounded_map.ts";
import type { WriteLine } from "./log.ts";

/** A call to a tier for a request. */
interface TierCall {
  readonly tier: string;
  readonly op: string;
  readonly outcome: string;
  readonly ms: number;
  readonly bytes?: number;
}

/** The events of a request so far. */
interface Story {
  readonly tiers: TierCall[];
  lookup?: { readonly tier: string; readonly result: string; readonly reason: string; readonly bytes: number };
  write?: { readonly outcome: string; readonly bytes: number };
}

const MAX_TIER_CALLS = 64;

type CompletedCall = Delivered<
  | "l2.lookup.completed"
  | "l2.lookup_many.completed"
  | "l2.load.completed"
  | "l2.store.completed"
  | "l2.delete.completed"
>;

/**
 * Writes a line of JSON for each traced request: tenant, a hash of tenant and key (never the key), result, bytes, and
 * the calls to tiers with their duration.
 */
export class RequestLog implements Subscriber {
  readonly name = "logging.request_log";
  readonly subscriptions: Subscriptions;
  readonly traced = [
    "http.request.start",
    "http.request.end",
    "lookup.finished",
    "sm.write.finished",
    "l2.lookup.completed",
    "l2.lookup_many.completed",
    "l2.load.completed",
    "l2.store.completed",
    "l2.delete.completed",
  ] as const;
  readonly #stories = new BoundedMap<Story>();
  readonly #write: WriteLine;

  constructor(write: WriteLine) {
    this.#write = write;
    const onTier = (event: CompletedCall) => this.#addTier(event);
    this.subscriptions = {
      "http.request.start": ({ requestId }) => {
        if (requestId !== undefined) this.#stories.set(requestId, { tiers: [] });
      },
      "lookup.finished": ({ requestId, tier, result, reason, bytes }) => {
        const story = this.#storyOf(requestId);
        if (story !== undefined) story.lookup = { tier, result, reason, bytes };
      },
      "sm.write.finished": ({ requestId, outcome, bytes }) => {
        const story = this.#storyOf(requestId);
        if (story !== undefined) story.write = { outcome, bytes };
      },
      "l2.lookup.completed": onTier,
      "l2.lookup_many.completed": onTier,
      "l2.load.completed": onTier,
      "l2.store.completed": onTier,
      "l2.delete.completed": onTier,
      "http.request.end": (event) => this.#onEnd(event),
    };
  }

  /** Requests in progress, and those that were dropped. */
  numbers(): ReturnType<BoundedMap<Story>["numbers"]> {
    return this.#stories.numbers();
  }

  #storyOf(requestId: string | undefined): Story | undefined {
    return requestId === undefined ? undefined : this.#stories.get(requestId);
  }

  #addTier(event: CompletedCall): void {
    const story = this.#storyOf(event.requestId);
    if (story === undefined || story.tiers.length >= MAX_TIER_CALLS) return;
    const { name, tier, outcome } = event;
    story.tiers.push({
      tier,
      op: name.slice("l2.".length, -".completed".length),
      outcome,
      ms: milliseconds(event.seconds),
      ...("bytes" in event ? { bytes: event.bytes } : {}),
    });
  }

  #onEnd(event: Delivered<"http.request.end">): void {
    const { requestId, tenant = "", parameter = "", timeMs, seconds } = event;
    const context = requestId === undefined ? undefined : parseTraceParent(requestId);
    if (requestId === undefined || context === undefined) return;
    const { tiers, lookup, write }: Story = this.#stories.take(requestId) ?? { tiers: [] };
    this.#write(JSON.stringify({
      time: new Date(timeMs - seconds * 1000).toISOString(),
      request_id: context.spanId,
      trace_id: context.traceId,
      tenant,
      ...(event.token === undefined ? {} : { token: event.token }),
      method: event.method,
      route: event.route,
      ...(parameter === "" ? {} : { key_hash: keyHash(tenant, parameter) }),
      status: Number(event.status),
      outcome: event.outcome,
      ...(lookup === undefined ? {} : { result: lookup.result, tier: lookup.tier, object_bytes: lookup.bytes }),
      ...(lookup === undefined || lookup.reason === "" ? {} : { reason: lookup.reason }),
      ...(write === undefined ? {} : { write: write.outcome, written_bytes: write.bytes }),
      request_bytes: event.requestBytes,
      response_bytes: event.responseBytes,
      ms: milliseconds(seconds),
      headers_ms: Number(event.headersMs ?? 0),
      tiers,
    }));
  }
}

function milliseconds(seconds: number): number {
  return Math.round(seconds * 1e6) / 1000;
}

/** The first 16 hexadecimal digits of the SHA-256 of the tenant, a zero byte and the key. */
function keyHash(tenant: string, parameter: string): string {
  return createHash("sha256").update(`${tenant}\0${decode(parameter)}`).digest("hex").slice(0, 16);
}

function decode(parameter: string): string {
  try {
    return decodeURIComponent(parameter);
  } catch {
    return parameter;
  }
}
