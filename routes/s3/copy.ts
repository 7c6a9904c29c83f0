import { createHash } from "node:crypto";
import { type HeaderField, type ObjectMeta, unpackHeaders } from "../../src/core/object.ts";
import type { MaybePromise, ObjectRead } from "../../src/storage/storage.ts";
import type { S3Options } from "../app_options.ts";
import type { Exchange } from "../exchange.ts";
import { forbid } from "../http/access.ts";
import { parseContentType } from "../http/metadata.ts";
import { type Address, objectAt, parseCopySource } from "./address.ts";
import { evaluate, readConditions, writeCondition } from "./conditions.ts";
import { s3Fields, s3MetaOf, withoutFacts } from "./metadata.ts";
import { s3Error } from "./wire/s3_error.ts";
import { replyXml } from "./wire/xml.ts";
import { refuseUnsupported, store } from "./write.ts";

/** CopyObject: the bytes are read and stored once more. */
export async function copyS3Object(
  exchange: Exchange,
  request: Request,
  { address, storage, s3: { md5 } }: S3Options & { readonly address: Address },
): Promise<Response> {
  const { headers } = request;
  refuseUnsupported(headers);
  const key = objectAt(exchange, request, address);
  const precondition = await writeCondition(storage, { exchange, key, headers });
  const source = await openSource(exchange, request, { storage });
  try {
    const isReplaced = directiveOf(headers) === "REPLACE";
    const { meta } = await store(storage, {
      key,
      sizeBytes: source.meta.sizeBytes,
      contentType: isReplaced ? parseContentType(headers.get("content-type")) : source.meta.contentType,
      fields: isReplaced ? s3Fields(headers) : fieldsOf(source.meta),
      precondition,
      hasMd5: md5,
      sha256: source.meta.sha256,
      send: async (take) => ({
        etag: await send(source, { start: 0, end: source.meta.sizeBytes, hasMd5: md5 }, take),
        checksum: undefined,
      }),
    });
    source.release("finished");
    const { etag } = s3MetaOf(meta);
    return replyXml(exchange, ["CopyObjectResult", [
      ["ETag", etag],
      ["LastModified", new Date(meta.createdMs).toISOString()],
    ]]);
  } catch (error) {
    source.release("aborted");
    throw error;
  }
}

/** The object that a copy is of. Throws NoSuchKey, PreconditionFailed; forbidden if the token may not read it. */
export async function openSource(
  exchange: Exchange,
  request: Request,
  { storage }: Pick<S3Options, "storage">,
): Promise<ObjectRead> {
  if (!exchange.grant.scopes.has("read")) forbid(exchange, request);
  const { headers } = request;
  const from = objectAt(exchange, request, parseCopySource(headers.get("x-amz-copy-source") ?? ""));
  const source = await storage.get(from, exchange);
  if (source === undefined) throw s3Error("NoSuchKey", "find source of copy: no such key");
  let verdict: ReturnType<typeof evaluate>;
  try {
    verdict = evaluate(readConditions(headers, "x-amz-copy-source-"), source.meta, s3MetaOf(source.meta).etag);
  } catch (error) {
    source.release("aborted");
    throw error;
  }
  if (verdict === "holds") return source;
  source.release("finished");
  throw s3Error("PreconditionFailed", "check source of copy: its condition does not hold");
}

/** Hands over a part of an object. Returns its MD5 in hexadecimal digits, if asked for. */
export async function send(
  source: Pick<ObjectRead, "chunks">,
  { start, end, hasMd5 }: { readonly start: number; readonly end: number; readonly hasMd5: boolean },
  take: (bytes: Uint8Array) => MaybePromise<void>,
): Promise<string | undefined> {
  const hash = hasMd5 ? createHash("md5") : undefined;
  for await (const chunk of source.chunks(start, end)) {
    hash?.update(chunk);
    await take(chunk);
  }
  return hash?.digest("hex");
}

function fieldsOf({ headers = "" }: ObjectMeta): readonly HeaderField[] {
  return withoutFacts(unpackHeaders(headers));
}

function directiveOf(headers: Headers): "COPY" | "REPLACE" {
  const directive = headers.get("x-amz-metadata-directive")?.toUpperCase() ?? "COPY";
  if (directive === "COPY" || directive === "REPLACE") return directive;
  throw s3Error("InvalidArgument", `parse x-amz-metadata-directive: ${directive}`);
}
