import { VitrineError } from "../../src/core/errors.ts";
import { etagOf, type ObjectKey, type ObjectMeta } from "../../src/core/object.ts";
import { type EarlyMeta, formatMeta, parseEarlyMeta, type PutTail, TIER_FIELDS } from "../../src/core/tier_protocol.ts";
import type { Upload } from "../../src/storage/storage.ts";
import type { AppOptions } from "../app_options.ts";
import type { Exchange } from "../exchange.ts";
import { bodyLength, receiveBody } from "../http/body.ts";
import { createOnly, parseDurability } from "../objects/write.ts";
import { TailSplitter } from "./tail_splitter.ts";

type WriteOptions = Pick<AppOptions, "storage" | "discard" | "transferWatch">;

/**
 * Stores an object of a server in front of this one: it keeps its version and its times. What must be known before its
 * bytes stands in the header, what is known only after them in the tail of the body.
 */
export async function writeTierObject(
  exchange: Exchange,
  request: Request,
  { key, ...options }: WriteOptions & { readonly key: ObjectKey },
): Promise<Response> {
  const { headers } = request;
  const early = parseEarlyMeta(headers.get(TIER_FIELDS.meta));
  if (early === undefined) throw new VitrineError("bad_request", `parse ${TIER_FIELDS.meta}: not sound`);
  const mayReplace = exchange.grant.scopes.has("write");
  const upload = await options.storage.reserve({
    key,
    sizeBytes: early.sizeBytes,
    contentType: early.contentType,
    sha256: early.sha256,
    headers: early.headers,
    ttlSeconds: 0,
    durability: parseDurability(headers.get("vitrine-durability")),
    precondition: mayReplace ? undefined : createOnly(undefined),
  });
  let tail: PutTail;
  try {
    tail = await receive(exchange, request, { ...options, upload });
    assertSame(early, tail.meta);
  } catch (error) {
    upload.abort();
    throw error;
  }
  const { meta, before } = await upload.finish({
    headers: tail.meta.headers,
    origin: tail.meta,
    precondition: mayReplace ? tail.precondition : createOnly(tail.precondition),
  });
  return new Response(null, {
    status: before === undefined ? 201 : 200,
    headers: { etag: etagOf(meta), ...(before === undefined ? {} : { [TIER_FIELDS.replaced]: formatMeta(before) }) },
  });
}

/** Hands the object's bytes over, and returns what follows them. Throws like receiveBody, and bad_request. */
async function receive(
  exchange: Exchange,
  request: Request,
  { upload, discard, transferWatch }: Omit<WriteOptions, "storage"> & { readonly upload: Upload },
): Promise<PutTail> {
  const splitter = new TailSplitter();
  const take = async (piece: Uint8Array): Promise<void> => {
    for (const part of splitter.push(piece)) await upload.write(part);
  };
  await receiveBody(exchange, request, { sizeBytes: bodyLength(request), take, discard, transferWatch });
  const end = splitter.end();
  if (end === undefined) throw new VitrineError("bad_request", "read body: it does not end with its metadata");
  if (end.rest.length > 0) await upload.write(end.rest);
  return end.tail;
}

/** Throws bad_request if the tail has other metadata than the header. Header fields may differ, but not in length. */
function assertSame(early: EarlyMeta, meta: ObjectMeta): void {
  const isSame = (early.sizeBytes ?? meta.sizeBytes) === meta.sizeBytes && early.contentType === meta.contentType &&
    early.sha256 === meta.sha256 && early.headers?.length === meta.headers?.length;
  if (!isSame) throw new VitrineError("bad_request", "read body: its metadata is not what the header announced");
}
