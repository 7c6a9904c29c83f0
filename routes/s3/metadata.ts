import { Buffer } from "node:buffer";
import { createHash } from "node:crypto";
import { etagOf, type HeaderField, type ObjectMeta, unpackHeaders } from "../../src/core/object.ts";
import { addKeptHeaders, keptFields, packBounded } from "../http/metadata.ts";
import { type Checksum, checksumField, type ChecksumName, checksumNameOf, placeholderOf } from "./wire/checksums.ts";

/** Internal fields, kept with an object and not sent as they are. */
const ETAG_FIELD = "x-s3-etag";
const CHECKSUM_FIELD = "x-s3-checksum";

const MD5_PLACEHOLDER = "0".repeat(32);

/** Fields that S3 clients and /v1 call differently, and the value that both keep. */
const OWN_PREFIX = "vitrine-meta-";
const S3_PREFIX = "x-amz-meta-";

/** What the body of a PUT decides about its kept fields. */
export interface BodyFacts {
  /** The MD5 in hexadecimal digits, or `hex-N` of an upload in N parts; undefined: the ETag is the object's own. */
  readonly etag: string | undefined;
  readonly checksum: Checksum | undefined;
}

/** Facts that are as long as the ones that will take their place. */
export function placeholders(
  { hasMd5, checksumName }: { readonly hasMd5: boolean; readonly checksumName: ChecksumName | undefined },
): BodyFacts {
  return {
    etag: hasMd5 ? MD5_PLACEHOLDER : undefined,
    checksum: checksumName && { name: checksumName, value: placeholderOf(checksumName) },
  };
}

/** The header fields of an S3 request that are kept with its object. Throws bad_request. */
export function s3Fields(headers: Headers): readonly HeaderField[] {
  const renamed: HeaderField[] = [];
  for (const [name, value] of headers) {
    if (name.startsWith(S3_PREFIX)) renamed.push([OWN_PREFIX + name.slice(S3_PREFIX.length), value]);
    else if (name === "content-encoding") renamed.push([name, withoutChunked(value)]);
    else if (!name.startsWith(OWN_PREFIX) && name !== "cache-control") renamed.push([name, value]);
  }
  // S3 keeps Cache-Control as it is, and no object of S3 expires by it.
  const cacheControl = headers.get("cache-control");
  return [...keptFields(renamed), ...(cacheControl === null ? [] : [["cache-control", cacheControl] as const])];
}

/** Packs kept fields with what the body decides; undefined if there is nothing to keep. Throws metadata_too_large. */
export function packWith(fields: readonly HeaderField[], { etag, checksum }: BodyFacts): string | undefined {
  const own: HeaderField[] = [];
  if (etag !== undefined) own.push([ETAG_FIELD, etag]);
  if (checksum !== undefined) own.push([CHECKSUM_FIELD, `${checksum.name}=${checksum.value}`]);
  return packBounded([...fields, ...own]);
}

/** The ETag of an upload in parts, as S3 makes it: of the MD5s of the parts. */
export function uploadEtag(partMd5s: readonly string[]): string {
  const all = Buffer.concat(partMd5s.map((md5) => Buffer.from(md5, "hex")));
  return `${createHash("md5").update(all).digest("hex")}-${partMd5s.length}`;
}

/** An object's metadata as S3 clients see it. */
export interface S3Meta {
  /** With its quotes. */
  readonly etag: string;
  readonly checksum: Checksum | undefined;
  /** Header fields of GET and HEAD. */
  readonly fields: readonly HeaderField[];
}

/** Reads an object's metadata, whichever interface stored it. */
export function s3MetaOf(meta: ObjectMeta): S3Meta {
  let etag = etagOf(meta);
  let checksum: Checksum | undefined;
  const { headers = "" } = meta;
  for (const [name, value] of unpackHeaders(headers)) {
    if (name === ETAG_FIELD) etag = `"${value}"`;
    if (name === CHECKSUM_FIELD) checksum = parseChecksum(value);
  }
  const served: Record<string, string> = {};
  addKeptHeaders(served, headers);
  const fields = Object.entries(served).map(([name, value]) =>
    [name.startsWith(OWN_PREFIX) ? S3_PREFIX + name.slice(OWN_PREFIX.length) : name, value] as const
  );
  return { etag, checksum, fields };
}

/** The header fields of an answer to a PUT. */
export function putAnswer(etag: string, checksum: Checksum | undefined): Record<string, string> {
  return { etag, ...(checksum === undefined ? {} : { [checksumField(checksum.name)]: checksum.value }) };
}

function parseChecksum(text: string): Checksum | undefined {
  const equals = text.indexOf("=");
  const name = checksumNameOf(`x-amz-checksum-${text.slice(0, equals)}`);
  return name && { name, value: text.slice(equals + 1) };
}

/** `aws-chunked` says how a body was sent, not how the object is encoded. */
function withoutChunked(codings: string): string {
  return codings.split(",").map((each) => each.trim()).filter((each) => each.toLowerCase() !== "aws-chunked").join(
    ", ",
  );
}

/** Kept fields without what the body decides. */
export function withoutFacts(fields: readonly HeaderField[]): readonly HeaderField[] {
  return fields.filter(([name]) => name !== ETAG_FIELD && name !== CHECKSUM_FIELD);
}
