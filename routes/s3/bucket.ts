import type { ChunkSignatures } from "../../src/access/sigv4.ts";
import { VitrineError } from "../../src/core/errors.ts";
import type { Storage } from "../../src/storage/storage.ts";
import type { S3Options } from "../app_options.ts";
import type { Exchange } from "../exchange.ts";
import { forbid } from "../http/access.ts";
import { objectAt } from "./address.ts";
import { Payload } from "./wire/payload.ts";
import { s3CodeOf, s3Error } from "./wire/s3_error.ts";
import { childrenOf, parseXml, replyXml, textOf, type XmlElement } from "./wire/xml.ts";

/**
 * A bucket is a prefix of keys, so every bucket exists, and creating one changes nothing. HeadBucket, CreateBucket,
 * GetBucketLocation.
 */
export function answerBucket(): Response {
  return new Response(null, { headers: { "content-length": "0", "x-amz-bucket-region": "us-east-1" } });
}

/** GetBucketLocation: the region of a bucket without one, `us-east-1`, has no name there. */
export function bucketLocation(exchange: Exchange): Response {
  return replyXml(exchange, ["LocationConstraint", ""]);
}

/** GetBucketVersioning: never turned on. */
export function bucketVersioning(exchange: Exchange): Response {
  return replyXml(exchange, ["VersioningConfiguration", ""]);
}

/** DeleteBucket. Throws BucketNotEmpty while there are objects in it. */
export async function deleteBucket(
  exchange: Exchange,
  request: Request,
  { storage, bucket }: { readonly storage: Storage; readonly bucket: string },
): Promise<Response> {
  const prefix = `${bucket}/`;
  if (!prefix.startsWith(exchange.grant.prefix) && !exchange.grant.prefix.startsWith(prefix)) forbid(exchange, request);
  const { entries } = await storage.list({ tenant: exchange.tenant, prefix, limit: 1, after: "", tier: undefined });
  if (entries.length > 0) throw s3Error("BucketNotEmpty", `delete bucket: there are objects in it: ${bucket}`);
  return new Response(null, { status: 204 });
}

const MAX_KEYS = 1000;
/** Every character of every key may be a reference. */
const MAX_BODY_BYTES = 8 * 1024 * 1024;
/** Number of objects that are deleted at the same time. */
const CONCURRENCY = 16;

/** DeleteObjects: up to 1000 keys of a bucket, each with an outcome of its own. An absent key counts as deleted. */
export async function deleteS3Objects(
  exchange: Exchange,
  request: Request,
  { bucket, signatures, storage, ...options }: S3Options & {
    readonly bucket: string;
    readonly signatures: ChunkSignatures | undefined;
  },
): Promise<Response> {
  const body = await new Payload(exchange, request, { ...options, signatures }).readAll(MAX_BODY_BYTES);
  const document = parseXml(new TextDecoder("utf-8", { ignoreBOM: false }).decode(body), "Delete");
  const keys = childrenOf(document, "Object").map((each) => textOf(each, "Key") ?? "");
  if (keys.length === 0 || keys.length > MAX_KEYS) {
    throw s3Error("MalformedXML", `parse Delete: not 1 to ${MAX_KEYS} objects: ${keys.length}`);
  }
  const isQuiet = textOf(document, "Quiet")?.trim() === "true";
  const outcomes: XmlElement[] = [];
  const waiting = keys.entries();
  const work = async () => {
    for (const [index, key] of waiting) {
      outcomes[index] = await deleteOne(key, async () => {
        if (key === "") throw s3Error("InvalidArgument", "parse Delete: an object without a key");
        await storage.delete(objectAt(exchange, request, { bucket, key }));
      });
    }
  };
  await Promise.all(Array.from({ length: CONCURRENCY }, work));
  return replyXml(exchange, ["DeleteResult", outcomes.filter(([name]) => !isQuiet || name === "Error")]);
}

async function deleteOne(key: string, run: () => Promise<void>): Promise<XmlElement> {
  try {
    await run();
    return ["Deleted", [["Key", key]]];
  } catch (error) {
    if (!(error instanceof VitrineError)) throw error;
    return ["Error", [["Key", key], ["Code", s3CodeOf(error).code], ["Message", error.message]]];
  }
}
