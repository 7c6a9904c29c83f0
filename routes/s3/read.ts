import type { ObjectMeta } from "../../src/core/object.ts";
import type { ObjectRead } from "../../src/storage/storage.ts";
import type { AppOptions } from "../app_options.ts";
import type { Exchange } from "../exchange.ts";
import { type ByteRange, parseRange } from "../http/conditions.ts";
import { dispositionOf } from "../http/metadata.ts";
import { queryOf } from "../http/target.ts";
import { HARMLESS } from "../objects/read.ts";
import { type Address, objectAt } from "./address.ts";
import { evaluate, readConditions } from "./conditions.ts";
import { s3MetaOf } from "./metadata.ts";
import { checksumField } from "./wire/checksums.ts";
import { s3Error } from "./wire/s3_error.ts";

type Found = Pick<ObjectRead, "meta" | "tier">;

/** The header fields that a query may replace, by its parameters. */
const OVERRIDES = {
  "response-cache-control": "cache-control",
  "response-content-disposition": "content-disposition",
  "response-content-encoding": "content-encoding",
  "response-content-language": "content-language",
  "response-content-type": "content-type",
  "response-expires": "expires",
} as const;

/** GetObject and HeadObject. Throws NoSuchKey, InvalidRange, PreconditionFailed. */
export async function readS3Object(
  exchange: Exchange,
  request: Request,
  { storage, sender, address }: Pick<AppOptions, "storage" | "sender"> & { readonly address: Address },
): Promise<Response> {
  const key = objectAt(exchange, request, address);
  if (exchange.method === "HEAD") {
    const found = await storage.head(key, exchange);
    if (found === undefined) throw missing(exchange);
    const decision = decide(request, found.meta);
    if (decision === "unchanged") return unchanged(found);
    const headers = headersOf(exchange, request, { found, range: decision });
    headers["content-length"] = String(decision.end - decision.start);
    return new Response(null, { status: decision.isPart ? 206 : 200, headers });
  }
  const read = await storage.get(key, exchange);
  if (read === undefined) throw missing(exchange);
  try {
    const decision = decide(request, read.meta);
    if (decision === "unchanged") {
      read.release("finished");
      return unchanged(read);
    }
    const headers = headersOf(exchange, request, { found: read, range: decision });
    exchange.bodyFollows();
    return sender.send(read, {
      start: decision.start,
      end: decision.end,
      status: decision.isPart ? 206 : 200,
      pinnedBytes: read.meta.sizeBytes,
      headers,
      context: exchange.context,
      onEnd: (result) => exchange.bodyEnded(result),
    });
  } catch (error) {
    read.release("finished");
    throw error;
  }
}

/** The reason of the miss is for people. */
function missing({ missReason = "unknown" }: Exchange) {
  return s3Error("NoSuchKey", `find object: no such key: ${missReason}`);
}

interface Decision extends ByteRange {
  readonly isPart: boolean;
}

function decide({ headers }: Request, meta: ObjectMeta): Decision | "unchanged" {
  const { etag } = s3MetaOf(meta);
  const verdict = evaluate(readConditions(headers), meta, etag);
  if (verdict === "failed") throw s3Error("PreconditionFailed", `check conditions: the object is ${etag}`);
  if (verdict === "unchanged") return verdict;
  const asked = headers.get("range");
  const ifRange = headers.get("if-range");
  const range = asked === null || (ifRange !== null && ifRange !== etag)
    ? undefined
    : parseRange(asked, meta.sizeBytes);
  if (range === "unsatisfiable") throw outside(asked ?? "", meta);
  return range === undefined ? { start: 0, end: meta.sizeBytes, isPart: false } : { ...range, isPart: true };
}

function outside(range: string, { sizeBytes }: ObjectMeta) {
  return s3Error("InvalidRange", `read range: ${range}`, { size_bytes: sizeBytes });
}

function unchanged({ meta }: Found): Response {
  const { etag, fields } = s3MetaOf(meta);
  const forCaches = fields.filter(([name]) => name === "cache-control" || name === "expires");
  return new Response(null, {
    status: 304,
    headers: { etag, "last-modified": dateOf(meta), ...HARMLESS, ...Object.fromEntries(forCaches) },
  });
}

function headersOf(
  exchange: Exchange,
  request: Request,
  { found: { meta, tier }, range }: { readonly found: Found; readonly range: Decision },
): Record<string, string> {
  const { etag, checksum, fields } = s3MetaOf(meta);
  const headers: Record<string, string> = {
    "content-type": meta.contentType === "" ? "binary/octet-stream" : meta.contentType,
    etag,
    "last-modified": dateOf(meta),
    "accept-ranges": "bytes",
    ...Object.fromEntries(fields),
    ...HARMLESS,
    "cache-status": `vitrine; hit; detail=${tier}`,
    "server-timing": exchange.serverTiming(tier === "l1"),
  };
  if (meta.expiresMs !== 0) {
    const left = `max-age=${Math.max(0, Math.floor((meta.expiresMs - exchange.nowMs()) / 1000))}`;
    const kept = headers["cache-control"];
    headers["cache-control"] = kept === undefined ? left : `${left}, ${kept}`;
  }
  if (range.isPart) headers["content-range"] = `bytes ${range.start}-${range.end - 1}/${meta.sizeBytes}`;
  // The checksum is of the whole object.
  else if (checksum !== undefined && request.headers.get("x-amz-checksum-mode")?.toLowerCase() === "enabled") {
    headers[checksumField(checksum.name)] = checksum.value;
  }
  const query = queryOf(request.url);
  for (const [parameter, field] of Object.entries(OVERRIDES)) {
    const value = query.get(parameter);
    if (value !== null) headers[field] = checked(parameter, value);
  }
  const disposition = dispositionOf(headers["content-type"] ?? "", headers["content-disposition"]);
  if (disposition !== undefined) headers["content-disposition"] = disposition;
  return headers;
}

function checked(parameter: string, value: string): string {
  if (/^[\t\x20-\x7e]{0,1024}$/.test(value)) return value;
  throw s3Error("InvalidArgument", `parse ${parameter}: not the value of a header field`);
}

/** The time of the PUT, as a date of HTTP. */
function dateOf({ createdMs }: ObjectMeta): string {
  return new Date(createdMs).toUTCString();
}
