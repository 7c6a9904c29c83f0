import { etagOf, type ObjectKey, type ObjectMeta } from "../../src/core/object.ts";
import type { ObjectRead } from "../../src/storage/storage.ts";
import type { AppOptions } from "../app_options.ts";
import type { Exchange } from "../exchange.ts";
import type { Answer } from "../fast_path.ts";
import { parseObjectKey } from "../http/access.ts";
import { type ByteRange, matchNames, noneMatchNames, parseRange } from "../http/conditions.ts";
import { addKeptHeaders, dispositionOf } from "../http/metadata.ts";
import { problem } from "../http/reply.ts";

type Found = Pick<ObjectRead, "meta" | "tier">;
type Decision = { readonly status: 200 | 206 | 304 | 412 } & ByteRange;

/**
 * Stored bytes come from strangers: browsers must not guess another type, run scripts in this server's origin, or use
 * the object in pages of other origins.
 */
export const HARMLESS = {
  "x-content-type-options": "nosniff",
  "content-security-policy": "default-src 'none'; style-src 'unsafe-inline'; sandbox",
  "cross-origin-resource-policy": "same-origin",
} as const;

const DEFAULT_CONTENT_TYPE = "application/octet-stream";

/** The way in which an interface names objects, and what it tells of them beside what all interfaces do. */
export interface ObjectView {
  /** The object that a request is about. Throws VitrineError. */
  readonly keyOf: (exchange: Exchange, request: Request) => ObjectKey;
  /** Header fields of its own; they may change only when `Age` or the time to live in `Cache-Status` does. */
  readonly fieldsOf?: (meta: ObjectMeta, nowMs: number) => Readonly<Record<string, string>>;
}

/** Makes the function that answers GET and HEAD of an object; a hit in L1 without a single await. */
export function readObject(
  { storage, sender }: Pick<AppOptions, "storage" | "sender">,
  { keyOf, fieldsOf }: ObjectView = { keyOf: parseObjectKey },
): Answer {
  const hitHeaders = new HitHeaders();

  function headersOf(
    exchange: Exchange,
    found: Found,
    { decision, nowMs }: { readonly decision: Decision; readonly nowMs: number },
  ): Record<string, string> {
    const headers = objectHeaders(exchange, { found, decision, nowMs, copyLimitBytes: sender.copyLimitBytes });
    return fieldsOf === undefined ? headers : Object.assign(headers, fieldsOf(found.meta, nowMs));
  }

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
      headers: headersOf(exchange, read, { decision, nowMs: exchange.nowMs() }),
      context: exchange.context,
      onEnd: (result) => exchange.bodyEnded(result),
    });
  }

  /** Answers with a small object in L1, whose bytes are at hand until it returns. */
  function answerHit(
    exchange: Exchange,
    request: Request,
    { meta, extents }: { readonly meta: ObjectMeta; readonly extents: readonly Uint8Array[] },
  ): Response {
    const found = { meta, tier: "l1" };
    const decision = decide(request.headers, meta);
    const refused = answerWithoutBody(exchange, { request, found, decision });
    if (refused !== undefined || decision === "unsatisfiable") {
      return refused ?? unsatisfiable(exchange, request, found);
    }
    const { start, end, status } = decision;
    exchange.answers(end - start);
    const nowMs = exchange.nowMs();
    const make = () => headersOf(exchange, found, { decision, nowMs });
    const isUsual = status === 200 && exchange.requestId === undefined;
    const hasToken = exchange.grant.tokenId !== "";
    const fields = isUsual ? hitHeaders.of(meta, { nowMs, hasToken, make }) : { headers: make() };
    return sender.copy(extents, { start, end, status, ...fields });
  }

  function answerHead(exchange: Exchange, request: Request, found: Found | undefined): Response {
    if (found === undefined) return miss(exchange, request);
    // Range is defined for GET only (RFC 9110 14.2).
    const decision = decide(request.headers, found.meta, false);
    if (decision === "unsatisfiable") return unsatisfiable(exchange, request, found);
    const refused = answerWithoutBody(exchange, { request, found, decision });
    if (refused !== undefined) return refused;
    const headers = headersOf(exchange, found, { decision, nowMs: exchange.nowMs() });
    headers["content-length"] = String(found.meta.sizeBytes);
    return new Response(null, { headers });
  }

  return (exchange, request) => {
    const key = keyOf(exchange, request);
    if (exchange.method === "HEAD") {
      const found = storage.head(key, exchange);
      return found instanceof Promise
        ? found.then((later) => answerHead(exchange, request, later))
        : answerHead(exchange, request, found);
    }
    const hit = storage.hit(
      key,
      sender.copyLimitBytes,
      (meta, extents) => answerHit(exchange, request, { meta, extents }),
    );
    if (hit !== undefined) return hit;
    const read = storage.get(key, exchange);
    return read instanceof Promise
      ? read.then((later) => answer(exchange, request, later))
      : answer(exchange, request, read);
  };
}

/** Evaluates conditions in the order of RFC 9110 13.2.2. Objects have no Last-Modified, so dates never match. */
function decide(headers: Headers, meta: ObjectMeta, rangeAllowed = true): Decision | "unsatisfiable" {
  const match = headers.get("if-match");
  if (match !== null && !matchNames(match, etagOf(meta))) return whole(412, meta);
  const noneMatch = headers.get("if-none-match");
  if (noneMatch !== null && noneMatchNames(noneMatch, etagOf(meta))) return whole(304, meta);
  const asked = rangeAllowed ? headers.get("range") : null;
  if (asked === null) return whole(200, meta);
  const ifRange = headers.get("if-range");
  if (ifRange !== null && ifRange !== etagOf(meta)) return whole(200, meta);
  const range = parseRange(asked, meta.sizeBytes);
  if (range === undefined) return whole(200, meta);
  return range === "unsatisfiable" ? range : { status: 206, ...range };
}

function whole(status: 200 | 304 | 412, { sizeBytes }: ObjectMeta): Decision {
  return { status, start: 0, end: sizeBytes };
}

/** Answers that there is no such object, and how it was lost. */
export function miss(exchange: Exchange, request: Request): Response {
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
    "cache-status": cacheStatus(found, exchange.nowMs()),
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
        "cache-status": cacheStatus(found, exchange.nowMs()),
      },
    );
  }
  const nowMs = exchange.nowMs();
  const headers: Record<string, string> = { etag, ...HARMLESS, "cache-status": cacheStatus(found, nowMs) };
  if (found.meta.headers !== undefined) addKeptHeaders(headers, found.meta.headers, "for caches");
  addFreshness(headers, found.meta, nowMs);
  addVary(headers, exchange, found.meta);
  return new Response(null, { status: 304, headers });
}

function objectHeaders(
  exchange: Exchange,
  { found, decision, nowMs, copyLimitBytes }: {
    readonly found: Found;
    readonly decision: Decision;
    readonly nowMs: number;
    readonly copyLimitBytes: number;
  },
): Record<string, string> {
  const { meta } = found;
  const headers = representationHeaders(found, nowMs);
  headers["accept-ranges"] = "bytes";
  Object.assign(headers, HARMLESS);
  const isInMemory = found.tier === "l1";
  // Memory answers at once; only who traces the request wants to know how fast.
  if (!isInMemory || exchange.requestId !== undefined) headers["server-timing"] = exchange.serverTiming(isInMemory);
  const disposition = dispositionOf(meta.contentType, headers["content-disposition"]);
  if (disposition !== undefined) headers["content-disposition"] = disposition;
  addVary(headers, exchange, meta);
  if (decision.status === 206) {
    headers["content-range"] = `bytes ${decision.start}-${decision.end - 1}/${meta.sizeBytes}`;
  }
  // Bun sends streams in chunks without a Content-Length; clients that allocate memory need the size.
  if (decision.end - decision.start > copyLimitBytes) headers["vitrine-size"] = String(meta.sizeBytes);
  return headers;
}

/** The header fields that belong to the object, whoever asks for it. */
export function representationHeaders(found: Found, nowMs: number): Record<string, string> {
  const { meta } = found;
  const headers: Record<string, string> = {
    "content-type": meta.contentType === "" ? DEFAULT_CONTENT_TYPE : meta.contentType,
    etag: etagOf(meta),
    "cache-status": cacheStatus(found, nowMs),
  };
  if (meta.headers !== undefined) addKeptHeaders(headers, meta.headers);
  addFreshness(headers, meta, nowMs);
  if (meta.sha256 !== "") headers["repr-digest"] = `sha-256=:${meta.sha256}:`;
  return headers;
}

/**
 * Sets `Age`, and `Cache-Control` with the whole time to live as `max-age` (RFC 9111 4.2) and the PUT's other
 * directives.
 */
function addFreshness(headers: Record<string, string>, meta: ObjectMeta, nowMs: number): void {
  headers["age"] = String(Math.max(0, Math.floor((nowMs - meta.createdMs) / 1000)));
  const kept = headers["cache-control"];
  if (meta.expiresMs !== 0) {
    const maxAge = `max-age=${Math.round((meta.expiresMs - meta.createdMs) / 1000)}`;
    headers["cache-control"] = kept === undefined ? maxAge : `${maxAge}, ${kept}`;
  }
}

/** A shared cache must not give one tenant's object to another. */
function addVary(headers: Record<string, string>, exchange: Exchange, meta: ObjectMeta): void {
  if (meta.expiresMs !== 0 || meta.headers !== undefined) {
    headers["vary"] = exchange.grant.tokenId === "" ? "Vitrine-Tenant" : "Authorization, Vitrine-Tenant";
  }
}

function cacheStatus({ meta, tier }: Found, nowMs: number): string {
  if (meta.expiresMs === 0) return `vitrine; hit; detail=${tier}`;
  return `vitrine; hit; ttl=${Math.max(0, Math.floor((meta.expiresMs - nowMs) / 1000))}; detail=${tier}`;
}

/** Header fields of an answer, as the sender takes them. */
export interface HitFields {
  /** The caller must not change them. */
  readonly headers: Headers;
  /** The same object for all answers with these fields; missing for the first, because it may be the last. */
  readonly sameAs?: object;
}

/** The fields of one object's hits, which hold for a while. */
interface Ready {
  /** For the second answer and those after it. */
  readonly fields: HitFields;
  readonly fromMs: number;
  /** Exclusive. */
  readonly untilMs: number;
  readonly hasToken: boolean;
}

/** Options of HitHeaders.of. */
interface HitAnswer {
  readonly nowMs: number;
  /** True if the request has a token, which changes `Vary`. */
  readonly hasToken: boolean;
  /** Makes the fields for this moment. */
  readonly make: () => Readonly<Record<string, string>>;
}

/**
 * Keeps the header fields of objects that are hit again and again: a Response takes over a ready Headers in a third of
 * the time that it takes for a plain object. They are kept by the object's metadata, which L1 hands out anew for each
 * object, and made anew when `Age` or the time to live in `Cache-Status` moves on.
 */
export class HitHeaders {
  readonly #ready = new WeakMap<ObjectMeta, Ready>();

  of(meta: ObjectMeta, { nowMs, hasToken, make }: HitAnswer): HitFields {
    const known = this.#ready.get(meta);
    const isFresh = known !== undefined && known.hasToken === hasToken && nowMs >= known.fromMs &&
      nowMs < known.untilMs;
    if (isFresh) return known.fields;
    const headers = new Headers(make());
    const fields = { headers, sameAs: headers };
    this.#ready.set(meta, { fields, hasToken, fromMs: nowMs, untilMs: nextChangeMs(meta, nowMs) });
    return { headers };
  }
}

/** The moment at which a number of whole seconds in the header fields changes next. */
function nextChangeMs({ createdMs, expiresMs }: ObjectMeta, nowMs: number): number {
  const older = createdMs + Math.max(1, Math.floor((nowMs - createdMs) / 1000) + 1) * 1000;
  return expiresMs === 0 ? older : Math.min(older, expiresMs - Math.floor((expiresMs - nowMs) / 1000) * 1000);
}
