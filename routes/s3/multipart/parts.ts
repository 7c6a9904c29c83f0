import type { ChunkSignatures } from "../../../src/access/sigv4.ts";
import type { ObjectRead, Storage } from "../../../src/storage/storage.ts";
import type { S3Options } from "../../app_options.ts";
import type { Exchange } from "../../exchange.ts";
import { parseRange } from "../../http/conditions.ts";
import { queryOf } from "../../http/target.ts";
import type { Address } from "../address.ts";
import { openSource, send } from "../copy.ts";
import { s3MetaOf } from "../metadata.ts";
import { s3Error } from "../wire/s3_error.ts";
import { replyXml, type XmlElement } from "../wire/xml.ts";
import { store, storeBody } from "../write.ts";
import { type MultipartUpload, parsePartNumber, partKey, partsOf, UPLOAD_TTL_SECONDS } from "./upload.ts";

/** UploadPart and UploadPartCopy. A part with the same number replaces the one before. */
export async function writePart(
  exchange: Exchange,
  request: Request,
  { upload, signatures, ...options }: S3Options & {
    readonly upload: MultipartUpload;
    readonly signatures: ChunkSignatures | undefined;
  },
): Promise<Response> {
  const number = parsePartNumber(queryOf(request.url).get("partNumber") ?? "");
  if (request.headers.has("x-amz-copy-source")) {
    return await copyPart(exchange, request, { ...options, upload, number });
  }
  return await storeBody(exchange, request, { ...options, signatures, object: partOf(upload, number) });
}

async function copyPart(
  exchange: Exchange,
  request: Request,
  { storage, s3: { md5 }, upload, number }: S3Options & {
    readonly upload: MultipartUpload;
    readonly number: number;
  },
): Promise<Response> {
  const source = await openSource(exchange, request, { storage });
  try {
    const range = rangeOf(request.headers.get("x-amz-copy-source-range"), source);
    const { meta } = await store(storage, {
      ...partOf(upload, number),
      sizeBytes: range.end - range.start,
      hasMd5: md5,
      send: async (take) => ({ etag: await send(source, { ...range, hasMd5: md5 }, take), checksum: undefined }),
    });
    source.release("finished");
    return replyXml(exchange, ["CopyPartResult", [
      ["ETag", s3MetaOf(meta).etag],
      ["LastModified", new Date(meta.createdMs).toISOString()],
    ]]);
  } catch (error) {
    source.release("aborted");
    throw error;
  }
}

function partOf(upload: MultipartUpload, number: number) {
  return {
    key: partKey(upload, number),
    contentType: "",
    fields: [],
    precondition: undefined,
    ttlSeconds: UPLOAD_TTL_SECONDS,
  };
}

function rangeOf(field: string | null, { meta: { sizeBytes } }: Pick<ObjectRead, "meta">) {
  if (field === null) return { start: 0, end: sizeBytes };
  const range = parseRange(field, sizeBytes);
  if (typeof range === "object") return range;
  throw s3Error("InvalidArgument", `parse x-amz-copy-source-range: ${field}`);
}

/** ListParts. */
export async function listParts(
  exchange: Exchange,
  request: Request,
  { storage, address, upload }: {
    readonly storage: Storage;
    readonly address: Address;
    readonly upload: MultipartUpload;
  },
): Promise<Response> {
  const query = queryOf(request.url);
  const limit = numberOf(query.get("max-parts"), 1000);
  const after = numberOf(query.get("part-number-marker"), 0);
  const { parts, more } = await partsOf(storage, upload, { after, limit: Math.min(limit, 1000) });
  return replyXml(exchange, ["ListPartsResult", [
    ["Bucket", address.bucket],
    ["Key", address.key],
    ["UploadId", upload.id],
    ["PartNumberMarker", after],
    ["NextPartNumberMarker", parts.at(-1)?.number ?? after],
    ["MaxParts", limit],
    ["IsTruncated", more],
    ...parts.map(({ number, entry: { meta } }): XmlElement => ["Part", [
      ["PartNumber", number],
      ["LastModified", new Date(meta.createdMs).toISOString()],
      ["ETag", s3MetaOf(meta).etag],
      ["Size", meta.sizeBytes],
    ]]),
  ]]);
}

function numberOf(text: string | null, absent: number): number {
  if (text === null || text === "") return absent;
  if (/^\d{1,5}$/.test(text)) return Number(text);
  throw s3Error("InvalidArgument", `parse query: not a number: ${text}`);
}
