import { Buffer } from "node:buffer";
import type { ErrorCode } from "../../src/core/errors.ts";
import type { Exchange } from "../exchange.ts";
import { pathOf, targetOf } from "./target.ts";
import { resolver } from "hono-openapi";
import * as v from "valibot";

/** A VitrineError, or an object of its shape where throwing would cost too much, as for a miss. */
export interface Refusal {
  readonly code: ErrorCode | "internal_error";
  readonly message: string;
  readonly details?: Readonly<Record<string, string | number>>;
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
  tier_failed: { status: 503, title: "A storage tier failed" },
  client_gone: { status: 400, title: "The body broke off" },
  unauthorized: { status: 401, title: "The request needs a token" },
  forbidden: { status: 403, title: "The token does not allow this" },
  too_many_failures: { status: 429, title: "Too many wrong tokens or passwords came from this address" },
  foreign_origin: { status: 403, title: "The page of another origin may not do this" },
  misdirected: { status: 421, title: "The host is not this server's" },
  too_many_listeners: { status: 503, title: "No more may listen at a time" },
  busy: { status: 503, title: "Too many requests of this kind wait" },
  shutting_down: { status: 503, title: "The server is shutting down" },
  internal_error: { status: 500, title: "Something went wrong inside" },
};

const RETRY_AFTER_SECONDS = "1";

const CHALLENGES = 'Basic realm="vitrine", charset="UTF-8", Bearer realm="vitrine"';

/** Answers with a problem (RFC 9457). This is the only place that chooses the status of a refusal. */
export function problem(
  exchange: Exchange,
  request: Request,
  refusal: Refusal,
  headers: Readonly<Record<string, string>> = {},
): Response {
  const { status, title } = KINDS[refusal.code];
  const body = JSON.stringify({
    ...refusal.details,
    type: `/problems/${refusal.code.replaceAll("_", "-")}`,
    title,
    status,
    detail: refusal.message,
    instance: pathOf(targetOf(request.url) ?? "/"),
  });
  const bytes = Buffer.byteLength(body);
  exchange.answers(bytes);
  const all: Record<string, string> = {
    "content-type": "application/problem+json",
    "content-length": String(bytes),
    "x-content-type-options": "nosniff",
    ...headers,
  };
  if (status === 503) all["retry-after"] = RETRY_AFTER_SECONDS;
  if (status === 429) all["retry-after"] = String(refusal.details?.["retry_after_seconds"] ?? RETRY_AFTER_SECONDS);
  // Basic comes first: some clients read only the first challenge.
  if (refusal.code === "unauthorized") all["www-authenticate"] = CHALLENGES;
  if (refusal.code === "bad_range") all["content-range"] = `bytes */${refusal.details?.["size_bytes"]}`;
  return new Response(body, { status, headers: all });
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
