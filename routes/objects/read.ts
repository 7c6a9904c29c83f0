import { etagOf, type ObjectMeta } from "../../src/core/object.ts";
import type { Exchange } from "../exchange.ts";
import { dispositionOf } from "../http/content_type.ts";
import { addKeptHeaders } from "../http/kept_headers.ts";
import { parseObjectKey } from "../http/object_key.ts";
import { matchNames, noneMatchNames } from "../http/preconditions.ts";
import { problem } from "../http/problem.ts";
import { type ByteRange, parseRange } from "../http/range.ts";
import type { AppOptions } from "../app_options.ts";
import type { Answer } from "../fast_path.ts";
import type { ObjectRead } from "../../src/storage/storage.ts";

type Found = Pick<ObjectRead, "meta" | "tier">;
type Decision = { readonly status: 200 | 206 | 304 | 412 } & ByteRange;

/**
 * Stored bytes come from strangers: browsers must not guess another type, run scripts in this server's origin, or use
 * the object in pages of other origins.
 */
const HARMLESS = {
  "x-content-type-options": "nosniff",
  "content-security-policy": "default-src 'none'; style-src 'unsafe-inline'; sandbox",
  "cross-origin-resource-policy": "same-origin",
} as const;

const DEFAULT_CONTENT_TYPE = "application/octet-stream";

/** Makes the function that answers GET and HEAD of an object; a hit in L1 without a single await. */
export function readObject({ storage, sender }: Pick<AppOptions, "storage" | "sender">): Answer {
  function answer(exchange: Exchange, request: Request, read: ObjectRead | undefined): Response {
    if (read === undefined) return miss(exchange, request);
    let decision: Decision | "unsatisfiable";
    try {
      decision = decide(request.headers, read.meta);
    } catch (error) {
      read.release("finished");
      throw error;
    }
    const refused = answerWithoutBody(exchange, { request, found: read, decision });
    if (refused !== undefined || decision === "unsatisfiable") {
      read.release("finished");
      return refused ?? unsatisfiable(exchange, request, read);
    }
    exchange.bodyFollows();
    return sender.send(read, {
      ...decision,
      pinnedBytes: read.meta.sizeBytes,
      headers: objectHeaders(exchange, { found: read, decision, copyLimitBytes: sender.copyLimitBytes }),
      context: exchange.context,
      onEnd: (result) => exchange.bodyEnded(result),
    });
  }

  function answerHead(exchange: Exchange, request: Request, found: Found | undefined): Response {
    if (found === undefined) return miss(exchange, request);
    // Range is defined for GET only (RFC 9110 14.2).
    const decision = decide(request.headers, found.meta, false);
    if (decision === "unsatisfiable") return unsatisfiable(exchange, request, found);
    const refused = answerWithoutBody(exchange, { request, found, decision });
    if (refused !== undefined) return refused;
    const headers = objectHeaders(exchange, { found, decision, copyLimitBytes: sender.copyLimitBytes });
    headers["content-length"] = String(found.meta.sizeBytes);
    return new Response(null, { headers });
  }

  return (exchange, request) => {
    const key = parseObjectKey(exchange, request);
    if (exchange.method === "HEAD") {
      const found = storage.head(key, exchange);
      return found instanceof Promise
        ? found.then((later) => answerHead(exchange, request, later))
        : answerHead(exchange, request, found);
    }
    const read = storage.get(key, exchange);
    return read instanceof Promise
      ? read.then((later) => answer(exchange, request, later))
      : answer(exchange, request, read);
  };
}

/** Evaluates conditions in the order of RFC 9110 13.2.2. Objects have no Last-Modified, so dates never match. */
function decide(headers: Headers, meta: ObjectMeta, rangeAllowed = true): Decision | "unsatisfiable" {
  const whole = { start: 0, end: meta.sizeBytes };
  const match = headers.get("if-match");
  if (match !== null && !matchNames(match, etagOf(meta))) return { status: 412, ...whole };
  const noneMatch = headers.get("if-none-match");
  if (noneMatch !== null && noneMatchNames(noneMatch, etagOf(meta))) return { status: 304, ...whole };
  const asked = rangeAllowed ? headers.get("range") : null;
  if (asked === null) return { status: 200, ...whole };
  const ifRange = headers.get("if-range");
  if (ifRange !== null && ifRange !== etagOf(meta)) return { status: 200, ...whole };
  const range = parseRange(asked, meta.sizeBytes);
  if (range === undefined) return { status: 200, ...whole };
  return range === "unsatisfiable" ? range : { status: 206, ...range };
}

function miss(exchange: Exchange, request: Request): Response {
  const reason = exchange.missReason ?? "unknown";
  return problem(exchange, request, { code: "not_found", message: "find object: no such key", details: { reason } }, {
    "cache-status": `vitrine; fwd=miss; detail=${reason}`,
    "server-timing": exchange.serverTiming(),
  });
}

function unsatisfiable(exchange: Exchange, request: Request, found: Found): Response {
  const details = { size_bytes: found.meta.sizeBytes };
  const message = `read range: ${request.headers.get("range")}`;
  return problem(exchange, request, { code: "bad_range", message, details }, {
    "cache-status": cacheStatus(exchange, found),
  });
}

function answerWithoutBody(
  exchange: Exchange,
  { request, found, decision }: {
    readonly request: Request;
    readonly found: Found;
    readonly decision: Decision | "unsatisfiable";
  },
): Response | undefined {
  if (decision === "unsatisfiable" || (decision.status !== 412 && decision.status !== 304)) return undefined;
  const etag = etagOf(found.meta);
  if (decision.status === 412) {
    return problem(
      exchange,
      request,
      { code: "precondition_failed", message: `match If-Match: the object is ${etag}` },
      {
        etag,
        "cache-status": cacheStatus(exchange, found),
      },
    );
  }
  const headers: Record<string, string> = { etag, ...HARMLESS, "cache-status": cacheStatus(exchange, found) };
  if (found.meta.headers !== undefined) addKeptHeaders(headers, found.meta.headers, "for caches");
  addFreshness(headers, exchange, found.meta);
  return new Response(null, { status: 304, headers });
}

function objectHeaders(
  exchange: Exchange,
  { found, decision, copyLimitBytes }: {
    readonly found: Found;
    readonly decision: Decision;
    readonly copyLimitBytes: number;
  },
): Record<string, string> {
  const { meta } = found;
  const headers: Record<string, string> = {
    "content-type": meta.contentType === "" ? DEFAULT_CONTENT_TYPE : meta.contentType,
    etag: etagOf(meta),
    "accept-ranges": "bytes",
    ...HARMLESS,
    "cache-status": cacheStatus(exchange, found),
    "server-timing": exchange.serverTiming(found.tier === "l1"),
  };
  if (meta.headers !== undefined) addKeptHeaders(headers, meta.headers);
  const disposition = dispositionOf(meta.contentType, headers["content-disposition"]);
  if (disposition !== undefined) headers["content-disposition"] = disposition;
  addFreshness(headers, exchange, meta);
  if (meta.sha256 !== "") headers["repr-digest"] = `sha-256=:${meta.sha256}:`;
  if (decision.status === 206) {
    headers["content-range"] = `bytes ${decision.start}-${decision.end - 1}/${meta.sizeBytes}`;
  }
  // Bun sends streams in chunks without a Content-Length; clients that allocate memory need the size.
  if (decision.end - decision.start > copyLimitBytes) headers["vitrine-size"] = String(meta.sizeBytes);
  return headers;
}

/**
 * Sets `Age`, and `Cache-Control` with the whole time to live as `max-age` (RFC 9111 4.2) and the PUT's other
 * directives.
 */
function addFreshness(headers: Record<string, string>, exchange: Exchange, meta: ObjectMeta): void {
  headers["age"] = String(Math.max(0, Math.floor((exchange.nowMs() - meta.createdMs) / 1000)));
  const kept = headers["cache-control"];
  if (meta.expiresMs !== 0) {
    const maxAge = `max-age=${Math.round((meta.expiresMs - meta.createdMs) / 1000)}`;
    headers["cache-control"] = kept === undefined ? maxAge : `${maxAge}, ${kept}`;
  }
  // A shared cache must not give one tenant's object to another.
  if (meta.expiresMs !== 0 || meta.headers !== undefined) {
    headers["vary"] = exchange.grant.tokenId === "" ? "Vitrine-Tenant" : "Authorization, Vitrine-Tenant";
  }
}

function cacheStatus(exchange: Exchange, { meta, tier }: Found): string {
  if (meta.expiresMs === 0) return `vitrine; hit; detail=${tier}`;
  return `vitrine; hit; ttl=${Math.max(0, Math.floor((meta.expiresMs - exchange.nowMs()) / 1000))}; detail=${tier}`;
}
