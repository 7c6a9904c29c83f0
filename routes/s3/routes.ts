import { Hono } from "hono";
import type { ChunkSignatures } from "../../src/access/sigv4.ts";
import type { Scope } from "../../src/access/tokens.ts";
import type { S3Options } from "../app_options.ts";
import type { Env, Exchange } from "../exchange.ts";
import { queryOf, S3 } from "../http/target.ts";
import { type Address, objectAt, parseAddress } from "./address.ts";
import { admitS3 } from "./admit.ts";
import { answerBucket, bucketLocation, bucketVersioning, deleteBucket, deleteS3Objects } from "./bucket.ts";
import { matchCondition } from "./conditions.ts";
import { copyS3Object } from "./copy.ts";
import { listBucket, listBuckets } from "./listing.ts";
import { completeUpload } from "./multipart/complete.ts";
import { listParts, writePart } from "./multipart/parts.ts";
import { createUpload, findUpload, removeUpload } from "./multipart/upload.ts";
import { readS3Object } from "./read.ts";
import { s3Error } from "./wire/s3_error.ts";
import { newRequestId } from "./wire/xml.ts";
import { writeS3Object } from "./write.ts";

const METHODS = ["GET", "PUT", "POST", "DELETE"];
const WRITING: readonly Scope[] = ["write", "create-only"];

/**
 * Parameters that say nothing about the operation. The SDK for JavaScript moves fields about checksums into the query
 * of presigned URLs, of a body that it does not know.
 */
const PLAIN = /^(?:X-Amz-.*|x-id|response-.*|x-amz-checksum-.*|x-amz-sdk-checksum-algorithm)$/;
const LISTING =
  /^(?:list-type|prefix|delimiter|max-keys|marker|start-after|continuation-token|encoding-type|fetch-owner)$/;

type Answer = (exchange: Exchange, request: Request) => Promise<Response>;

/** S3's interface to the objects, for S3 clients as they are (docs/S3.md). It is not in the specification. */
export function s3Routes(options: S3Options): Hono<Env> {
  const app = new Hono<Env>();
  const add = (paths: string[], answer: Answer) => {
    app.on(METHODS, paths, async (c) => {
      const response = await answer(c.get("exchange"), c.req.raw);
      response.headers.set("x-amz-request-id", newRequestId());
      return response;
    });
  };
  add([S3.slice(0, -1), S3], async (exchange, request) => {
    if (request.method !== "GET") throw s3Error("NotImplemented", "find operation: no such operation");
    await admitS3(exchange, request, { ...options, scopes: ["read"] });
    return await listBuckets(exchange, options.storage);
  });
  add([`${S3}:bucket`, `${S3}:bucket/`], (exchange, request) => answerForBucket(exchange, request, options));
  add([`${S3}:bucket/:key{[^]+}`], (exchange, request) => answerForObject(exchange, request, options));
  return app;
}

/** Which of S3's subresources a query names, such as `uploads`; "" for the bucket or object itself. */
function subresourceOf(request: Request, ignored: RegExp): string {
  return [...queryOf(request.url).keys()].filter((name) => !PLAIN.test(name) && !ignored.test(name)).toSorted().join(
    "&",
  );
}

async function answerForBucket(exchange: Exchange, request: Request, options: S3Options): Promise<Response> {
  const { bucket } = parseAddress(exchange);
  const { storage } = options;
  const allow = (...scopes: readonly Scope[]) => admitS3(exchange, request, { ...options, scopes });
  switch (`${request.method} ${subresourceOf(request, LISTING)}`.trim()) {
    case "HEAD":
      await allow("read", ...WRITING);
      return answerBucket();
    case "PUT":
      await allow(...WRITING);
      return answerBucket();
    case "GET":
      await allow("read");
      return await listBucket(exchange, request, { storage, bucket });
    case "GET location":
      await allow("read", ...WRITING);
      return bucketLocation(exchange);
    case "GET versioning":
      await allow("read", ...WRITING);
      return bucketVersioning(exchange);
    case "DELETE":
      await allow("delete");
      return await deleteBucket(exchange, request, { storage, bucket });
    case "POST delete": {
      const signatures = await allow("delete");
      return await deleteS3Objects(exchange, request, { ...options, bucket, signatures });
    }
    default:
      await allow("read", ...WRITING, "delete");
      throw s3Error("NotImplemented", "find operation: no such operation on a bucket");
  }
}

async function answerForObject(exchange: Exchange, request: Request, options: S3Options): Promise<Response> {
  const address = parseAddress(exchange);
  const allow = (...scopes: readonly Scope[]) => admitS3(exchange, request, { ...options, scopes });
  switch (`${request.method} ${subresourceOf(request, /^(?:max-parts|part-number-marker)$/)}`.trim()) {
    case "GET":
    case "HEAD":
      await allow("read");
      return await readS3Object(exchange, request, { ...options, address });
    case "PUT": {
      const signatures = await allow(...WRITING);
      if (request.headers.has("x-amz-copy-source")) {
        return await copyS3Object(exchange, request, { ...options, address });
      }
      return await writeS3Object(exchange, request, { ...options, address, signatures });
    }
    case "DELETE":
      await allow("delete");
      return await deleteS3Object(exchange, request, { ...options, address });
    case "POST uploads":
      await allow(...WRITING);
      return await createUpload(exchange, request, { ...options, address });
    case "PUT partNumber&uploadId":
    case "POST uploadId":
    case "DELETE uploadId":
    case "GET uploadId": {
      const signatures = await allow(...WRITING);
      return await answerForUpload(exchange, request, { ...options, address, signatures });
    }
    default:
      await allow("read", ...WRITING, "delete");
      throw s3Error("NotImplemented", "find operation: no such operation on an object");
  }
}

async function answerForUpload(
  exchange: Exchange,
  request: Request,
  options: S3Options & { readonly address: Address; readonly signatures: ChunkSignatures | undefined },
): Promise<Response> {
  const { storage, address } = options;
  const query = queryOf(request.url);
  const upload = await findUpload(exchange, request, { storage, address, id: query.get("uploadId") ?? "" });
  switch (request.method) {
    case "PUT":
      return await writePart(exchange, request, { ...options, upload });
    case "POST":
      return await completeUpload(exchange, request, { ...options, upload });
    case "DELETE":
      await removeUpload(storage, upload);
      return new Response(null, { status: 204 });
    default:
      return await listParts(exchange, request, { storage, address, upload });
  }
}

/** DeleteObject: an absent key is a success, as with S3. */
async function deleteS3Object(
  exchange: Exchange,
  request: Request,
  { storage, address }: S3Options & { readonly address: Address },
): Promise<Response> {
  const key = objectAt(exchange, request, address);
  await storage.delete(key, await matchCondition(storage, key, request.headers.get("if-match")));
  return new Response(null, { status: 204 });
}
