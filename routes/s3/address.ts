import { Buffer } from "node:buffer";
import { MAX_KEY_BYTES, type ObjectKey } from "../../src/core/object.ts";
import type { S3Host } from "../app_options.ts";
import type { Exchange } from "../exchange.ts";
import { objectOf } from "../http/access.ts";
import { parseHost } from "../http/strangers.ts";
import { parseKey, S3 } from "../http/target.ts";
import { s3Error } from "./wire/s3_error.ts";

/** A bucket, and the key in it; "" if a request is about the bucket. */
export interface Address {
  readonly bucket: string;
  readonly key: string;
}

/** The names that S3 allows, and those with capitals and underscores that it allowed once. */
const BUCKET = /^[A-Za-z0-9][A-Za-z0-9._-]{0,254}$/;

/**
 * The path below `/s3/` that a request at one of the S3 hosts means; undefined for any other host. The bucket is the
 * host's own, or the label before a name (`bucket.name`), or in the path.
 */
export function s3Path(hosts: readonly S3Host[], field: string | null, path: string): string | undefined {
  const name = field === null ? undefined : parseHost(field)?.name;
  if (name === undefined) return undefined;
  for (const host of hosts) {
    if (name === host.name) return host.bucket === undefined ? S3 + path.slice(1) : `${S3}${host.bucket}${path}`;
    if (host.bucket === undefined && name.endsWith(`.${host.name}`)) {
      return `${S3}${name.slice(0, -host.name.length - 1)}${path}`;
    }
  }
  return undefined;
}

/** The bucket and the key in the path of an exchange. Throws InvalidBucketName, bad_key. */
export function parseAddress({ path }: Pick<Exchange, "path">): Address {
  const rest = path.slice(S3.length);
  const slash = rest.indexOf("/");
  const bucket = decodeURIComponentOr(slash < 0 ? rest : rest.slice(0, slash));
  if (!BUCKET.test(bucket)) throw s3Error("InvalidBucketName", `parse bucket: ${bucket.slice(0, 255)}`);
  const encoded = slash < 0 ? "" : rest.slice(slash + 1);
  return { bucket, key: encoded === "" ? "" : parseKey(encoded) };
}

/** The bucket and the key in `x-amz-copy-source`: `/bucket/key` or `bucket/key`, percent-encoded. */
export function parseCopySource(field: string): Address {
  const [source = "", query] = field.split("?", 2);
  if (query !== undefined && query !== "versionId=null") {
    throw s3Error("NotImplemented", "parse x-amz-copy-source: there are no versions");
  }
  const address = parseAddress({ path: S3 + (source.startsWith("/") ? source.slice(1) : source) });
  if (address.key === "") throw s3Error("InvalidArgument", "parse x-amz-copy-source: no key");
  return address;
}

/**
 * The object at an address: a bucket is a prefix of the tenant's keys, so `/s3/bucket/key` is `/v1/objects/bucket/key`.
 * Throws KeyTooLongError; forbidden if the token is for other keys.
 */
export function objectAt(exchange: Exchange, request: Request, address: Address): ObjectKey {
  const key = `${address.bucket}/${address.key}`;
  if (Buffer.byteLength(key) > MAX_KEY_BYTES) {
    throw s3Error("KeyTooLongError", `parse key: longer than ${MAX_KEY_BYTES} bytes together with its bucket`);
  }
  return objectOf(exchange, request, key);
}

function decodeURIComponentOr(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return "";
  }
}
