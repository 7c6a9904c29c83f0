import { VitrineError } from "../../src/core/errors.ts";
import { etagOf, type Precondition } from "../../src/core/object.ts";
import type { PutRequest, PutResult } from "../../src/storage/storage.ts";
import type { AppOptions } from "../app_options.ts";
import type { Exchange } from "../exchange.ts";
import type { Answer } from "../fast_path.ts";
import { parseObjectKey } from "../http/access.ts";
import { bodyLength, receiveBody, UploadBody } from "../http/body.ts";
import { parseTtl } from "../http/cache_control.ts";
import { writePrecondition } from "../http/conditions.ts";
import { parseContentType, parseDigest, parseKeptHeaders } from "../http/metadata.ts";

type WriteOptions = Pick<AppOptions, "storage" | "discard" | "transferWatch">;

/** Makes the function that answers PUT of an object; what can be refused is refused before the body is read. */
export function writeObject(options: WriteOptions): Answer {
  return async (exchange, request) => {
    const key = parseObjectKey(exchange, request);
    const put = parsePut(exchange, request.headers, { key, sizeBytes: bodyLength(request) });
    return stored(await putObject(exchange, request, { ...options, put }));
  };
}

/** The answer to a PUT that has stored an object. */
export function stored({ meta, replaced }: PutResult): Response {
  return new Response(null, { status: replaced ? 200 : 201, headers: { etag: etagOf(meta) } });
}

/** Stores the body of a request as an object. Throws like `Storage.reserve`, receiveBody and `Upload.finish`. */
export async function putObject(
  exchange: Exchange,
  request: Request,
  { put, storage, discard, transferWatch }: WriteOptions & { readonly put: PutRequest },
): Promise<PutResult> {
  const reserved = storage.reserve(put);
  const upload = reserved instanceof Promise ? await reserved : reserved;
  const body = new UploadBody(upload, put.sizeBytes);
  const take = (piece: Uint8Array) => body.take(piece);
  try {
    await receiveBody(exchange, request, { sizeBytes: put.sizeBytes, take, discard, transferWatch });
  } catch (error) {
    upload.abort();
    throw error;
  }
  return await body.finish();
}

/** Parses the header fields of a PUT. Throws bad_request, metadata_too_large. */
export function parsePut(
  exchange: Exchange,
  headers: Headers,
  object: Pick<PutRequest, "key" | "sizeBytes">,
): PutRequest {
  // Ten look-ups in Headers cost several times as much as this copy.
  const fields = new Map(headers);
  if (fields.has("content-range")) {
    throw new VitrineError("bad_request", "parse Content-Range: a PUT is of a whole object");
  }
  return {
    key: object.key,
    sizeBytes: object.sizeBytes,
    contentType: parseContentType(fields.get("content-type") ?? null),
    sha256: parseDigest(fields),
    headers: parseKeptHeaders(fields),
    ttlSeconds: parseTtl(fields.get("cache-control") ?? null),
    durability: parseDurability(fields.get("vitrine-durability") ?? null),
    precondition: exchange.grant.scopes.has("write")
      ? writePrecondition(fields)
      : createOnly(writePrecondition(fields)),
  };
}

/** For tokens that must not replace objects: `If-None-Match: *`, checked in the step that admits the object. */
export function createOnly(precondition: Precondition | undefined): Precondition {
  return { ...precondition, noneMatch: "*" };
}

/** Parses `Vitrine-Durability`; undefined: the server's setting. Throws bad_request. */
export function parseDurability(header: string | null): "l1" | "l2" | undefined {
  if (header === null) return undefined;
  if (header === "l1" || header === "l2") return header;
  throw new VitrineError("bad_request", `parse Vitrine-Durability: neither l1 nor l2: ${header}`);
}
