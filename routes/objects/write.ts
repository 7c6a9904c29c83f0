import { VitrineError } from "../../src/core/errors.ts";
import { etagOf, type Precondition } from "../../src/core/object.ts";
import type { Exchange } from "../exchange.ts";
import { parseTtl } from "../http/cache_control.ts";
import { parseContentType } from "../http/content_type.ts";
import { parseDigest } from "../http/digest.ts";
import { parseKeptHeaders } from "../http/kept_headers.ts";
import { parseObjectKey } from "../http/object_key.ts";
import { writePrecondition } from "../http/preconditions.ts";
import type { AppOptions } from "../app_options.ts";
import type { Answer } from "../fast_path.ts";
import type { PutRequest, Upload } from "../../src/storage/storage.ts";
/** Bodies up to this size are read in one go; measured on both runtimes (docs/RUNTIMES.md). */
const SMALL_BODY_BYTES = 128 * 1024;

/** Makes the function that answers PUT of an object; what can be refused is refused before the body is read. */
export function writeObject({ storage, discard }: Pick<AppOptions, "storage" | "discard">): Answer {
  return async (exchange, request) => {
    const put = parsePut(exchange, request);
    const upload = await storage.reserve(put);
    try {
      await receive(request, { upload, exchange, sizeBytes: put.sizeBytes, discard });
    } catch (error) {
      upload.abort();
      throw error;
    }
    const { meta, replaced } = await upload.finish();
    return new Response(null, { status: replaced ? 200 : 201, headers: { etag: etagOf(meta) } });
  };
}

function parsePut(exchange: Exchange, request: Request): PutRequest {
  const { headers } = request;
  if (headers.has("content-range")) {
    throw new VitrineError("bad_request", "parse Content-Range: a PUT is of a whole object");
  }
  return {
    key: parseObjectKey(exchange, request),
    sizeBytes: parseLength(request),
    contentType: parseContentType(headers.get("content-type")),
    sha256: parseDigest(headers),
    headers: parseKeptHeaders(headers),
    ttlSeconds: parseTtl(headers.get("cache-control")),
    durability: parseDurability(headers.get("vitrine-durability")),
    precondition: exchange.grant.scopes.has("write")
      ? writePrecondition(headers)
      : createOnly(writePrecondition(headers)),
  };
}

/** For tokens that must not replace objects: `If-None-Match: *`, checked in the step that admits the object. */
function createOnly(precondition: Precondition | undefined): Precondition {
  return { ...precondition, noneMatch: "*" };
}

function parseLength(request: Request): number | undefined {
  const coding = request.headers.get("transfer-encoding");
  // Deno removes a coding before chunked from the header but not from the bytes (RFC 9112, 6.1).
  if (coding !== null && coding.toLowerCase() !== "chunked") {
    throw new VitrineError("bad_request", `parse Transfer-Encoding: not chunked alone: ${coding}`);
  }
  const length = request.headers.get("content-length");
  if (length === null) return request.body === null ? 0 : undefined;
  if (!/^\d{1,15}$/.test(length)) throw new VitrineError("bad_request", `parse Content-Length: ${length}`);
  return Number(length);
}

function parseDurability(header: string | null): "l1" | "l2" | undefined {
  if (header === null) return undefined;
  if (header === "l1" || header === "l2") return header;
  throw new VitrineError("bad_request", `parse Vitrine-Durability: neither l1 nor l2: ${header}`);
}

async function receive(
  request: Request,
  { upload, exchange, sizeBytes, discard }: {
    readonly upload: Upload;
    readonly exchange: Exchange;
    readonly sizeBytes: number | undefined;
    readonly discard: AppOptions["discard"];
  },
): Promise<void> {
  if (sizeBytes !== undefined && sizeBytes <= SMALL_BODY_BYTES) {
    const body = new Uint8Array(await arrival(exchange, request.arrayBuffer()));
    exchange.received(body.byteLength);
    if (body.byteLength > 0) await upload.write(body);
    return;
  }
  let receivedBytes = 0;
  const reader = request.body?.getReader();
  if (reader === undefined) return;
  try {
    for (;;) {
      const next = await arrival(exchange, reader.read());
      if (next.done) return;
      receivedBytes += next.value.byteLength;
      exchange.received(next.value.byteLength);
      const written = upload.write(next.value);
      if (written !== undefined) await written;
      discard(next.value, receivedBytes);
    }
  } finally {
    reader.releaseLock();
  }
}

/** Awaits bytes of the client; the runtime knows meanwhile that the server waits for them. */
async function arrival<T>(exchange: Exchange, bytes: Promise<T>): Promise<T> {
  const { waitsForBody } = exchange.context;
  waitsForBody?.(true);
  try {
    return await bytes;
  } catch (cause) {
    exchange.brokeOff();
    throw new VitrineError("client_gone", "read body: it broke off", { cause });
  } finally {
    waitsForBody?.(false);
  }
}
