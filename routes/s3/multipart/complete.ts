import type { ChunkSignatures } from "../../../src/access/sigv4.ts";
import { VitrineError } from "../../../src/core/errors.ts";
import { etagOf, type ObjectKey, type ObjectMeta, unpackHeaders } from "../../../src/core/object.ts";
import type { MaybePromise, Storage } from "../../../src/storage/storage.ts";
import type { S3Options } from "../../app_options.ts";
import type { Exchange } from "../../exchange.ts";
import type { Address } from "../address.ts";
import { writeCondition } from "../conditions.ts";
import { s3MetaOf, uploadEtag } from "../metadata.ts";
import { announcedChecksum, type Checksum, startChecksum } from "../wire/checksums.ts";
import { Payload } from "../wire/payload.ts";
import { s3Error } from "../wire/s3_error.ts";
import { childrenOf, parseXml, replyXml, textOf } from "../wire/xml.ts";
import { store } from "../write.ts";
import { type MultipartUpload, parsePartNumber, partKey, removeUpload } from "./upload.ts";

/** 10 000 parts, each with its number, its ETag and a checksum. */
const MAX_BODY_BYTES = 4 * 1024 * 1024;

/** A part that the object will have. */
interface Part {
  readonly key: ObjectKey;
  readonly meta: ObjectMeta;
}

/**
 * CompleteMultipartUpload: stores the parts, one after the other, as one object, and removes them. Until then, and
 * after a failure, the key keeps its old object, and the upload its parts.
 */
export async function completeUpload(
  exchange: Exchange,
  request: Request,
  { address, upload, signatures, storage, ...options }: S3Options & {
    readonly address: Address;
    readonly upload: MultipartUpload;
    readonly signatures: ChunkSignatures | undefined;
  },
): Promise<Response> {
  const { key, record } = upload;
  const { headers } = request;
  const payload = new Payload(exchange, request, { ...options, signatures, hasChecksum: false });
  const body = new TextDecoder().decode(await payload.readAll(MAX_BODY_BYTES));
  const parts = await findParts(storage, upload, body);
  const etag = options.s3.md5 ? uploadEtag(parts.map(({ meta }) => s3MetaOf(meta).etag.slice(1, -1))) : undefined;
  const whole = headers.get("x-amz-checksum-type") === "FULL_OBJECT" ? announcedChecksum(headers) : undefined;
  const { meta } = await store(storage, {
    key,
    sizeBytes: parts.reduce((sum, part) => sum + part.meta.sizeBytes, 0),
    contentType: record.contentType,
    fields: unpackHeaders(record.headers ?? ""),
    precondition: await writeCondition(storage, { exchange, key, headers }),
    hasMd5: etag !== undefined,
    early: { etag, checksum: whole },
    send: async (take) => ({ etag, checksum: await sendParts(storage, { parts, whole }, take) }),
  });
  await removeUpload(storage, upload).catch((error: unknown) => {
    // The object is stored; what is left of the upload expires.
    if (!(error instanceof VitrineError)) throw error;
  });
  return replyXml(exchange, ["CompleteMultipartUploadResult", [
    ["Location", `/${address.bucket}/${address.key}`],
    ["Bucket", address.bucket],
    ["Key", address.key],
    ["ETag", s3MetaOf(meta).etag],
  ]]);
}

async function findParts(storage: Storage, upload: MultipartUpload, body: string): Promise<readonly Part[]> {
  const parts: Part[] = [];
  let last = 0;
  for (const node of childrenOf(parseXml(body, "CompleteMultipartUpload"), "Part")) {
    const number = parsePartNumber((textOf(node, "PartNumber") ?? "").trim());
    if (number <= last) throw s3Error("InvalidPartOrder", `complete upload: part ${number} after part ${last}`);
    last = number;
    const key = partKey(upload, number);
    const found = await storage.head(key);
    const etag = (textOf(node, "ETag") ?? "").trim().replaceAll('"', "");
    if (found === undefined || s3MetaOf(found.meta).etag !== `"${etag}"`) throw missing(number);
    parts.push({ key, meta: found.meta });
  }
  if (parts.length === 0) throw s3Error("MalformedXML", "parse CompleteMultipartUpload: no parts");
  return parts;
}

/** Hands the parts over in order. Returns the checksum of the whole, if there is one. Throws BadDigest, InvalidPart. */
async function sendParts(
  storage: Storage,
  { parts, whole }: { readonly parts: readonly Part[]; readonly whole: Checksum | undefined },
  take: (bytes: Uint8Array) => MaybePromise<void>,
): Promise<Checksum | undefined> {
  const running = whole && startChecksum(whole.name);
  for (const [index, { key, meta }] of parts.entries()) {
    const read = await storage.get(key);
    if (read === undefined) throw missing(index + 1);
    try {
      if (etagOf(read.meta) !== etagOf(meta)) throw missing(index + 1);
      for await (const chunk of read.chunks(0, meta.sizeBytes)) {
        running?.update(chunk);
        await take(chunk);
      }
    } finally {
      read.release("finished");
    }
  }
  if (whole !== undefined && running?.digest() !== whole.value) {
    throw s3Error("BadDigest", `verify upload: its ${whole.name} is not the one announced`);
  }
  return whole;
}

function missing(number: number) {
  return s3Error("InvalidPart", `complete upload: part ${number} is not there, or has another ETag`);
}
