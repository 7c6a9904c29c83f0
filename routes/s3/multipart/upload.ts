import { Buffer } from "node:buffer";
import * as v from "valibot";
import { isPackedHeaders, type ObjectKey } from "../../../src/core/object.ts";
import type { ListEntry, Storage } from "../../../src/storage/storage.ts";
import type { S3Options } from "../../app_options.ts";
import type { Exchange } from "../../exchange.ts";
import { packBounded, parseContentType } from "../../http/metadata.ts";
import { type Address, objectAt } from "../address.ts";
import { s3Fields } from "../metadata.ts";
import { s3Error } from "../wire/s3_error.ts";
import { replyXml } from "../wire/xml.ts";
import { refuseUnsupported, store } from "../write.ts";

/**
 * The tenant under which the parts of unfinished uploads are stored, as ordinary objects. No client can name it: the
 * tenants of clients are ASCII.
 */
const STAGING_TENANT = "«uploads»";

/** Seconds after which a forgotten upload is gone. */
export const UPLOAD_TTL_SECONDS: number = 24 * 3600;
const MAX_PARTS = 10_000;

const uploadSchema = v.object({
  tenant: v.string(),
  key: v.string(),
  contentType: v.string(),
  headers: v.optional(v.pipe(v.string(), v.check(isPackedHeaders))),
});

/** What an upload was created with. */
type UploadRecord = v.InferOutput<typeof uploadSchema>;

/** An unfinished upload. */
export interface MultipartUpload {
  readonly id: string;
  /** The object that it will be. */
  readonly key: ObjectKey;
  readonly record: UploadRecord;
}

/** CreateMultipartUpload: keeps what the object will be stored with, under an id that nobody can guess. */
export async function createUpload(
  exchange: Exchange,
  request: Request,
  { address, storage }: S3Options & { readonly address: Address },
): Promise<Response> {
  const { headers } = request;
  refuseUnsupported(headers);
  const { tenant, key } = objectAt(exchange, request, address);
  const id = Buffer.from(crypto.getRandomValues(new Uint8Array(32))).toString("hex");
  const record: UploadRecord = {
    tenant,
    key,
    contentType: parseContentType(headers.get("content-type")),
    headers: packBounded(s3Fields(headers)),
  };
  const bytes = Buffer.from(JSON.stringify(record));
  await store(storage, {
    key: recordKey(id),
    sizeBytes: bytes.length,
    contentType: "application/json",
    fields: [],
    precondition: undefined,
    hasMd5: false,
    ttlSeconds: UPLOAD_TTL_SECONDS,
    send: async (take) => {
      await take(bytes);
      return { etag: undefined, checksum: undefined };
    },
  });
  return replyXml(exchange, ["InitiateMultipartUploadResult", [
    ["Bucket", address.bucket],
    ["Key", address.key],
    ["UploadId", id],
  ]]);
}

/** The upload that a request names. Throws NoSuchUpload, also if it is one of another object. */
export async function findUpload(
  exchange: Exchange,
  request: Request,
  { address, storage, id }: { readonly address: Address; readonly storage: Storage; readonly id: string },
): Promise<MultipartUpload> {
  const key = objectAt(exchange, request, address);
  const read = /^[0-9a-f]{64}$/.test(id) ? await storage.get(recordKey(id)) : undefined;
  if (read !== undefined) {
    const pieces: Uint8Array[] = [];
    try {
      for await (const chunk of read.chunks(0, read.meta.sizeBytes)) pieces.push(chunk.slice());
    } finally {
      read.release("finished");
    }
    const record = v.parse(uploadSchema, JSON.parse(Buffer.concat(pieces).toString()));
    if (record.tenant === key.tenant && record.key === key.key) return { id, key, record };
  }
  throw s3Error("NoSuchUpload", "find upload: no such upload of this object");
}

/** The number of a part, 1 to 10000. Throws InvalidArgument. */
export function parsePartNumber(text: string): number {
  const number = /^\d{1,5}$/.test(text) ? Number(text) : 0;
  if (number >= 1 && number <= MAX_PARTS) return number;
  throw s3Error("InvalidArgument", `parse part number: not 1 to ${MAX_PARTS}: ${text}`);
}

/** The key of a part. */
export function partKey({ id }: Pick<MultipartUpload, "id">, number: number): ObjectKey {
  return { tenant: STAGING_TENANT, key: `${id}/${String(number).padStart(5, "0")}` };
}

/** The parts of an upload after one of them, in order, with their numbers. */
export async function partsOf(
  storage: Storage,
  upload: Pick<MultipartUpload, "id">,
  { after = 0, limit = MAX_PARTS }: { readonly after?: number; readonly limit?: number } = {},
): Promise<
  { readonly parts: readonly { readonly number: number; readonly entry: ListEntry }[]; readonly more: boolean }
> {
  const parts: { readonly number: number; readonly entry: ListEntry }[] = [];
  let from = partKey(upload, after).key;
  for (;;) {
    const prefix = `${upload.id}/`;
    const page = await storage.list({ tenant: STAGING_TENANT, prefix, limit: 1000, after: from, tier: undefined });
    for (const entry of page.entries) {
      const number = Number(entry.key.slice(prefix.length));
      if (!Number.isInteger(number)) continue;
      if (parts.length === limit) return { parts, more: true };
      parts.push({ number, entry });
    }
    const last = page.entries.at(-1);
    if (!page.more || last === undefined) return { parts, more: false };
    from = last.key;
  }
}

/** AbortMultipartUpload, and the end of a completed one: removes the record first, so that no part can be added. */
export async function removeUpload(storage: Storage, upload: Pick<MultipartUpload, "id">): Promise<void> {
  await storage.delete(recordKey(upload.id));
  const { parts } = await partsOf(storage, upload);
  for (const { number } of parts) await storage.delete(partKey(upload, number));
}

function recordKey(id: string): ObjectKey {
  return { tenant: STAGING_TENANT, key: `${id}/upload` };
}
