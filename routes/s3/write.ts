import type { ChunkSignatures } from "../../src/access/sigv4.ts";
import type { HeaderField, ObjectKey, Precondition } from "../../src/core/object.ts";
import { AT_ONCE_BYTES, type MaybePromise, type PutResult, type Storage } from "../../src/storage/storage.ts";
import type { S3Options } from "../app_options.ts";
import type { Exchange } from "../exchange.ts";
import { UploadBody } from "../http/body.ts";
import { parseContentType } from "../http/metadata.ts";
import { type Address, objectAt } from "./address.ts";
import { writeCondition } from "./conditions.ts";
import { type BodyFacts, packWith, placeholders, putAnswer, s3Fields, s3MetaOf } from "./metadata.ts";
import type { ChecksumName } from "./wire/checksums.ts";
import { Payload } from "./wire/payload.ts";
import { s3Error } from "./wire/s3_error.ts";

/** Fields that ask for something that there is not: to ignore them would be a false promise. */
const UNSUPPORTED =
  /^x-amz-(?:server-side-encryption|object-lock|tagging$|website-redirect|write-offset|grant-|copy-source-server-side)/;

/** PutObject. */
export async function writeS3Object(
  exchange: Exchange,
  request: Request,
  { address, signatures, ...options }: S3Options & {
    readonly address: Address;
    readonly signatures: ChunkSignatures | undefined;
  },
): Promise<Response> {
  const { headers } = request;
  const { storage } = options;
  refuseUnsupported(headers);
  const key = objectAt(exchange, request, address);
  return await storeBody(exchange, request, {
    ...options,
    signatures,
    object: {
      key,
      contentType: parseContentType(headers.get("content-type")),
      fields: s3Fields(headers),
      precondition: await writeCondition(storage, { exchange, key, headers }),
    },
  });
}

/** Stores the body of a request as an object, and answers with what S3 tells of it. */
export async function storeBody(
  exchange: Exchange,
  request: Request,
  { object, signatures, storage, s3: { md5 }, discard, transferWatch }: S3Options & {
    readonly signatures: ChunkSignatures | undefined;
    readonly object: Pick<NewS3Object, "key" | "contentType" | "fields" | "precondition" | "ttlSeconds">;
  },
): Promise<Response> {
  const payload = new Payload(exchange, request, {
    discard,
    transferWatch,
    signatures,
    needsMd5: md5,
    leavesSha256: true,
  });
  const { meta } = await store(storage, {
    ...object,
    sizeBytes: payload.sizeBytes,
    hasMd5: md5,
    checksumName: payload.checksumName,
    sha256: payload.sha256,
    async send(take) {
      const { checksum, md5: etag } = await payload.receive(take);
      return { etag: md5 ? etag : undefined, checksum };
    },
  });
  const { etag, checksum } = s3MetaOf(meta);
  return new Response(null, { headers: { ...putAnswer(etag, checksum), "content-length": "0" } });
}

/** Throws NotImplemented. */
export function refuseUnsupported(headers: Headers): void {
  for (const name of headers.keys()) {
    if (UNSUPPORTED.test(name)) throw s3Error("NotImplemented", `store object: ${name} is not supported`);
  }
}

/** An object that is about to be stored. */
export interface NewS3Object {
  readonly key: ObjectKey;
  readonly sizeBytes: number | undefined;
  readonly contentType: string;
  readonly fields: readonly HeaderField[];
  readonly precondition: Precondition | undefined;
  /** True if `send` gives an ETag. */
  readonly hasMd5: boolean;
  /** Facts as long as those that `send` gives; default: those of a body in one piece. */
  readonly early?: BodyFacts;
  /** The checksum that `send` gives. */
  readonly checksumName?: ChecksumName | undefined;
  /** In base64; "" = not given. */
  readonly sha256?: string;
  /** Default: never. */
  readonly ttlSeconds?: number;
  /** Hands all bytes over; then tells what they are. */
  readonly send: (take: (bytes: Uint8Array) => MaybePromise<void>) => Promise<BodyFacts>;
}

/** Stores an object whose ETag and checksum are known once its bytes are there. */
export async function store(storage: Storage, object: NewS3Object): Promise<PutResult> {
  const { key, sizeBytes, contentType, fields, precondition, hasMd5, checksumName, sha256 = "", ttlSeconds = 0 } =
    object;
  const headers = packWith(fields, object.early ?? placeholders({ hasMd5, checksumName }));
  const upload = await storage.reserve({
    key,
    sizeBytes,
    contentType,
    sha256,
    headers,
    ttlSeconds,
    durability: undefined,
    precondition,
  });
  const body = new UploadBody(upload, sizeBytes);
  let facts: BodyFacts;
  try {
    // The source of a copy gives its memory back before the last step.
    facts = await object.send((bytes) => body.take(bytes.length <= AT_ONCE_BYTES ? new Uint8Array(bytes) : bytes));
  } catch (error) {
    upload.abort();
    throw error;
  }
  return await body.finish({ headers: packWith(fields, facts) });
}
