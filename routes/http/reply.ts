import { resolver } from "hono-openapi";
import { Buffer } from "node:buffer";
import * as v from "valibot";
import type { Transfer, TransferWatch } from "../../src/core/watchdog.ts";
import type { EventMap } from "../../src/events/catalogue.ts";
import type { Exchange, Refusal } from "../exchange.ts";
import { pathOf, targetOf } from "./target.ts";

/**
 * Pages of other origins may send requests and learn nothing from the responses, not even whether an object exists: a
 * browser treats all of them as failures.
 */
const SAME_ORIGIN = { "cross-origin-resource-policy": "same-origin" } as const;

/** Answers with text, which may be encoded to bytes already, and counts its bytes. */
export function replyText(
  exchange: Exchange,
  text: string | Uint8Array<ArrayBuffer>,
  options: {
    readonly type: string;
    readonly status?: number;
    readonly headers?: Readonly<Record<string, string>>;
  },
): Response {
  const bytes = Buffer.byteLength(text);
  exchange.answers(bytes);
  const headers = {
    "content-type": options.type,
    "content-length": String(bytes),
    "cache-control": "no-store",
    "x-content-type-options": "nosniff",
    ...SAME_ORIGIN,
    ...options.headers,
  };
  return new Response(text, { status: options.status ?? 200, headers });
}

/** Answers with JSON and counts its bytes. */
export function replyJson(exchange: Exchange, value: unknown, status = 200): Response {
  return replyText(exchange, JSON.stringify(value), { type: "application/json", status });
}

/**
 * Counts the bytes of an endless body as they are read. A client that goes away completes it: the body has no length
 * that it could fall short of.
 */
export function countedBody(
  exchange: Exchange,
  body: ReadableStream<Uint8Array<ArrayBuffer>>,
): ReadableStream<Uint8Array> {
  const reader = body.getReader();
  let bytesSent = 0;
  let isOver = false;
  // A cancel also ends a pending read.
  const over = (outcome: "complete" | "aborted") => {
    if (!isOver) exchange.bodyEnded({ outcome, bytesSent });
    isOver = true;
  };
  exchange.endlessBodyFollows();
  return new ReadableStream({
    async pull(controller) {
      try {
        const { done, value } = await reader.read();
        if (!done) {
          bytesSent += value.byteLength;
          return controller.enqueue(value);
        }
      } catch (error) {
        over("aborted");
        throw error;
      }
      if (isOver) return;
      over("complete");
      controller.close();
    },
    cancel(reason) {
      over("complete");
      return reader.cancel(reason);
    },
  }, { highWaterMark: 0 });
}

/**
 * A body of chunks in private memory whose length nobody knows yet; its bytes are counted as they are read. A failure
 * of `chunks` breaks the connection off, and so does a client that takes them too slowly.
 */
export function sendChunks(
  exchange: Exchange,
  chunks: AsyncGenerator<Uint8Array<ArrayBuffer>, void, void>,
  watch: TransferWatch | undefined,
): ReadableStream<Uint8Array<ArrayBuffer>> {
  let bytesSent = 0;
  let handedBytes = 0;
  let isOver = false;
  let transfer: Transfer | undefined;
  const over = (outcome: "complete" | "aborted", isSlow?: true) => {
    if (isOver) return;
    isOver = true;
    transfer?.end();
    exchange.bodyEnded({ outcome, bytesSent, ...(isSlow === undefined ? {} : { isSlow }) });
  };
  exchange.bodyFollows();
  return new ReadableStream({
    start(controller) {
      transfer = watch?.begin(() => {
        exchange.context.abort?.();
        controller.error(new Error("send body: the reader is too slow"));
        over("aborted", true);
        void chunks.return();
      });
    },
    async pull(controller) {
      // A runtime that asks for a chunk has sent the previous one.
      transfer?.moved(handedBytes);
      try {
        const { done, value } = await chunks.next();
        if (done === true) {
          controller.close();
          return over("complete");
        }
        handedBytes = value.byteLength;
        bytesSent += handedBytes;
        controller.enqueue(value);
        transfer?.waits();
      } catch (error) {
        over("aborted");
        throw error;
      }
    },
    async cancel() {
      over("aborted");
      await chunks.return();
    },
  }, { highWaterMark: 0 });
}

interface Kind {
  readonly status: number;
  readonly title: string;
}

const KINDS: Readonly<Record<Refusal["code"], Kind>> = {
  bad_request: { status: 400, title: "The request is malformed" },
  bad_key: { status: 400, title: "The key is not 1 to 1024 bytes of percent-encoded UTF-8" },
  bad_range: { status: 416, title: "The range lies outside the object" },
  not_found: { status: 404, title: "Not here" },
  method_not_allowed: { status: 405, title: "The path does not have this method" },
  length_required: { status: 411, title: "The request needs a Content-Length" },
  length_mismatch: { status: 400, title: "The body is not as long as announced" },
  digest_mismatch: { status: 400, title: "The body does not have the digest announced" },
  precondition_failed: { status: 412, title: "A precondition failed" },
  too_large: { status: 413, title: "The object is too large" },
  metadata_too_large: { status: 431, title: "The header fields to be kept are too large" },
  no_room: { status: 507, title: "There is no room for the object" },
  over_quota: { status: 507, title: "The tenant's quota leaves no room for the object" },
  too_many_quotas: { status: 507, title: "No more tenants may have a quota" },
  quota_not_kept: { status: 503, title: "The quota is in effect, and could not be kept for the next start" },
  loop_detected: { status: 508, title: "The tiers of these servers lead back to this one" },
  tier_failed: { status: 503, title: "A storage tier failed" },
  client_gone: { status: 400, title: "The body broke off" },
  unauthorized: { status: 401, title: "The request needs a token" },
  forbidden: { status: 403, title: "The token does not allow this" },
  too_many_failures: { status: 429, title: "Too many wrong tokens or passwords came from this address" },
  foreign_origin: { status: 403, title: "The page of another origin may not do this" },
  misdirected: { status: 421, title: "The host is not this server's" },
  too_many_listeners: { status: 503, title: "No more may listen at a time" },
  busy: { status: 503, title: "Too many requests of this kind wait" },
  keys_unavailable: { status: 503, title: "The keys of tokens could not be loaded" },
  overloaded: { status: 503, title: "Too many requests are in progress" },
  too_many_requests: { status: 429, title: "Too many requests of the tenant are in progress" },
  rate_limited: { status: 429, title: "The tenant sends too many requests" },
  too_many_bytes: { status: 503, title: "Too many bytes of bodies are being received" },
  too_slow: { status: 408, title: "The body arrives too slowly" },
  shutting_down: { status: 503, title: "The server is shutting down" },
  internal_error: { status: 500, title: "Something went wrong inside" },
};

/** The limits that these refusals report; each is counted where its refusal is made. */
const LIMITS: { readonly [Code in Refusal["code"]]?: EventMap["limit.reached"]["limit"] } = {
  too_large: "object_size",
  metadata_too_large: "metadata",
  too_many_listeners: "event_streams",
  overloaded: "requests",
  too_many_requests: "tenant_requests",
  rate_limited: "tenant_rate",
  too_many_bytes: "upload_bytes",
  over_quota: "tenant_quota",
  too_slow: "transfer",
};

const RETRY_AFTER_SECONDS = "1";

const CHALLENGES = 'Basic realm="vitrine", charset="UTF-8", Bearer realm="vitrine"';

/** The fields of a problem (RFC 9457). */
interface Problem extends Readonly<Record<string, string | number>> {
  readonly type: string;
  readonly title: string;
  readonly status: number;
  readonly detail: string;
}

/** The status of a problem; in the dialect of some clients, the answer has another one. */
export function statusOf(code: Refusal["code"]): number {
  return KINDS[code].status;
}

/** The problem of a refusal; counts the limit that it reports. The only place that chooses the status of a refusal. */
export function problemOf(exchange: Exchange, { code, message, details }: Refusal): Problem {
  const limit = LIMITS[code];
  if (limit !== undefined) exchange.reached(limit);
  return { ...details, type: `/problems/${code.replaceAll("_", "-")}`, ...KINDS[code], detail: message };
}

/** Answers with a problem (RFC 9457). */
export function problem(
  exchange: Exchange,
  request: Request,
  refusal: Refusal,
  headers: Readonly<Record<string, string>> = {},
): Response {
  const { status, ...fields } = problemOf(exchange, refusal);
  const text = JSON.stringify({ ...fields, status, instance: pathOf(targetOf(request.url) ?? "/") });
  return replyRefusal(exchange, refusal, { status, text, type: "application/problem+json", headers });
}

/** Answers with a refusal in any form, and with the header fields that belong to its code and its status. */
export function replyRefusal(
  exchange: Exchange,
  { code, details }: Refusal,
  { status, text, type, headers }: {
    readonly status: number;
    readonly text: string;
    readonly type: string;
    readonly headers: Readonly<Record<string, string>>;
  },
): Response {
  const bytes = Buffer.byteLength(text);
  exchange.answers(bytes);
  const all: Record<string, string> = {
    "content-type": type,
    "content-length": String(bytes),
    "x-content-type-options": "nosniff",
    ...SAME_ORIGIN,
    ...headers,
  };
  if (status === 503) all["retry-after"] = RETRY_AFTER_SECONDS;
  if (status === 429) all["retry-after"] = String(details?.["retry_after_seconds"] ?? RETRY_AFTER_SECONDS);
  if (code === "rate_limited") {
    // draft-ietf-httpapi-ratelimit-headers-10: the quota of a window of one second, of which nothing is left.
    all["ratelimit-policy"] = `"tenant";q=${details?.["limit"]};w=1`;
    all["ratelimit"] = '"tenant";r=0;t=1';
  }
  if (code === "too_slow") all["connection"] = "close";
  // Basic comes first: some clients read only the first challenge.
  if (code === "unauthorized") all["www-authenticate"] = CHALLENGES;
  if (code === "bad_range") all["content-range"] = `bytes */${details?.["size_bytes"]}`;
  return new Response(text, { status, headers: all });
}

/** A response in the specification of a route. */
export interface ResponseSpec {
  readonly description: string;
  readonly content: Readonly<Record<string, { readonly schema: ReturnType<typeof resolver> }>>;
}

const problemSchema: v.GenericSchema = v.looseObject({
  type: v.pipe(v.string(), v.description("Stable URI of the kind of problem, e.g. /problems/precondition-failed.")),
  title: v.string(),
  status: v.number(),
  detail: v.string(),
  instance: v.pipe(v.string(), v.description("The path of the request.")),
});

/** Describes a problem (RFC 9457) as a response in the specification. */
export function refusal(description: string): ResponseSpec {
  return { description, content: { "application/problem+json": { schema: resolver(problemSchema) } } };
}
