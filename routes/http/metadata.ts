import { Buffer } from "node:buffer";
import { type Dictionary, parseDictionary } from "structured-headers";
import { VitrineError } from "../../src/core/errors.ts";
import {
  type HeaderField,
  isFieldValue,
  MAX_CONTENT_TYPE_BYTES,
  MAX_KEPT_HEADER_BYTES,
  MAX_KEPT_HEADERS,
  packHeaders,
  unpackHeaders,
} from "../../src/core/object.ts";
import { responseDirectives } from "./cache_control.ts";
import type { HeaderLookup } from "./conditions.ts";

/** The prefix of metadata fields that clients choose. */
const META_PREFIX = "vitrine-meta-";

const SERVED: ReadonlySet<string> = new Set([
  "cache-control",
  "content-disposition",
  "content-encoding",
  "content-language",
  "expires",
]);
const FOR_CACHES: ReadonlySet<string> = new Set(["cache-control", "expires"]);

/**
 * The header fields of a PUT that are kept with its object, packed; undefined if there are none. Throws bad_request,
 * metadata_too_large.
 */
export function parseKeptHeaders(headers: Iterable<HeaderField>): string | undefined {
  return packBounded(keptFields(headers));
}

/** The header fields of a PUT that are kept with its object. Throws bad_request. */
export function keptFields(headers: Iterable<HeaderField>): readonly HeaderField[] {
  const fields: HeaderField[] = [];
  for (const [name, given] of headers) {
    const value = keptValue(name, given);
    if (value === undefined) continue;
    if (!isFieldValue(value)) throw new VitrineError("bad_request", `parse ${name}: not the value of a header field`);
    fields.push([name, value]);
  }
  return fields;
}

/** The value that is kept of a header field; undefined if the field is not kept. */
function keptValue(name: string, value: string): string | undefined {
  switch (name) {
    case "content-disposition":
    case "content-language":
    case "expires":
      return value || undefined;
    case "cache-control":
      return responseDirectives(value) || undefined;
    case "content-encoding":
      return parseCodings(value) || undefined;
    case META_PREFIX:
      throw new VitrineError("bad_request", `parse ${META_PREFIX}*: a name is missing`);
    default:
      return name.startsWith(META_PREFIX) ? value : undefined;
  }
}

/**
 * Adds the kept fields to an answer: all of them, or only those of a 304 (RFC 9110 15.4.5). Fields that another version
 * has kept and this one does not know are not sent.
 */
export function addKeptHeaders(headers: Record<string, string>, packed: string, only?: "for caches"): void {
  for (const [name, value] of unpackHeaders(packed)) {
    const isSent = only === undefined ? SERVED.has(name) || name.startsWith(META_PREFIX) : FOR_CACHES.has(name);
    if (isSent) headers[name] = value;
  }
}

/** The codings in lower case and in their order, without `identity`, which has no meaning (RFC 9110 8.4). */
function parseCodings(header: string): string {
  const codings = header.split(",").map((each) => each.trim().toLowerCase()).filter((each) => each !== "");
  for (const coding of codings) {
    if (!/^[!#$%&'*+.^_`|~0-9a-z-]+$/.test(coding)) {
      throw new VitrineError("bad_request", `parse Content-Encoding: not a list of codings: ${header}`);
    }
  }
  return codings.filter((each) => each !== "identity").join(", ");
}

/** Packs fields; undefined if there are none. Throws metadata_too_large. */
export function packBounded(fields: readonly HeaderField[]): string | undefined {
  if (fields.length === 0) return undefined;
  const packed = packHeaders(fields);
  if (fields.length <= MAX_KEPT_HEADERS && packed.length <= MAX_KEPT_HEADER_BYTES) return packed;
  throw new VitrineError(
    "metadata_too_large",
    `keep headers: more than ${MAX_KEPT_HEADERS} fields or ${MAX_KEPT_HEADER_BYTES} bytes`,
    {
      details: {
        fields: fields.length,
        limit_fields: MAX_KEPT_HEADERS,
        bytes: packed.length,
        limit_bytes: MAX_KEPT_HEADER_BYTES,
      },
    },
  );
}

/** `type/subtype` and parameters, which may be missing between two semicolons (RFC 9110 8.3.1, 5.6.6). */
const MEDIA_TYPE =
  /^[!#$%&'*+.^`|~\w-]+\/[!#$%&'*+.^`|~\w-]+(?:[ \t]*;[ \t]*(?:[!#$%&'*+.^`|~\w-]+=(?:[!#$%&'*+.^`|~\w-]+|"(?:[\t !#-[\]-~]|\\[\t -~])*"))?)*[ \t]*$/;

/**
 * The `Content-Type` of a PUT; "" without one. Throws bad_request for anything but one media type, and for bytes that
 * are not ASCII, which the runtimes decode differently.
 */
export function parseContentType(header: string | null): string {
  if (header === null) return "";
  // The length is checked first: the expression may read white space twice.
  if (header.length > MAX_CONTENT_TYPE_BYTES) {
    throw new VitrineError("bad_request", `parse Content-Type: longer than ${MAX_CONTENT_TYPE_BYTES} bytes`);
  }
  if (header !== "" && !MEDIA_TYPE.test(header)) {
    throw new VitrineError("bad_request", `parse Content-Type: not a media type: ${header}`);
  }
  return header;
}

/**
 * Types that a browser saves, or shows as a picture or plain text. It may run scripts in objects of all other types.
 */
const INERT =
  /^(?:application\/(?:octet-stream|json|x-ndjson|gzip|x-gzip|zip|zstd|x-tar|x-7z-compressed|x-xz|wasm|java-archive)|audio\/[\w.+-]+|video\/[\w.+-]+|font\/[\w.+-]+|image\/(?!svg)[\w.-]+|text\/(?:plain|css|csv|javascript))[ \t]*(?:;|$)/i;

/** The largest number of types remembered. */
const MAX_REMEMBERED = 256;
const remembered = new Map<string, boolean>();

/** True if a browser must save an object of this type, and not show it. */
function isOnlySaved(contentType: string): boolean {
  const known = remembered.get(contentType);
  if (known !== undefined) return known;
  const isSaved = !INERT.test(contentType);
  if (remembered.size >= MAX_REMEMBERED) remembered.clear();
  remembered.set(contentType, isSaved);
  return isSaved;
}

/**
 * The Content-Disposition of an object: the one given by its PUT, made an attachment where a browser could show the
 * object as a page of this server. Undefined: none.
 */
export function dispositionOf(contentType: string, given: string | undefined): string | undefined {
  if (contentType === "" || !isOnlySaved(contentType)) return given;
  if (given === undefined) return "attachment";
  const parameters = given.indexOf(";");
  return parameters < 0 ? "attachment" : `attachment${given.slice(parameters)}`;
}

const SHA256_BYTES = 32;

/**
 * The SHA-256 (base64) in `Content-Digest` or `Repr-Digest` (RFC 9530); "" if neither has one. Other algorithms are
 * ignored. Throws bad_request for a malformed header, digest_mismatch if the two differ.
 */
export function parseDigest(headers: HeaderLookup): string {
  const content = sha256Of("Content-Digest", headers.get("content-digest") ?? "");
  const repr = sha256Of("Repr-Digest", headers.get("repr-digest") ?? "");
  if (content !== "" && repr !== "" && content !== repr) {
    throw new VitrineError("digest_mismatch", "compare digests: Content-Digest and Repr-Digest differ");
  }
  return content === "" ? repr : content;
}

function sha256Of(name: string, header: string): string {
  if (header === "") return "";
  const [digest] = dictionaryOf(name, header).get("sha-256") ?? [];
  if (digest === undefined) return "";
  if (!(digest instanceof ArrayBuffer) || digest.byteLength !== SHA256_BYTES) {
    throw new VitrineError("bad_request", `parse ${name}: sha-256 is not ${SHA256_BYTES} bytes of base64`);
  }
  return Buffer.from(digest).toString("base64");
}

/** Throws bad_request for a malformed field, as RFC 9651 4.2 allows: ignoring it would leave the body unverified. */
function dictionaryOf(name: string, header: string): Dictionary {
  try {
    return parseDictionary(header);
  } catch (cause) {
    throw new VitrineError("bad_request", `parse ${name}: ${header}`, { cause });
  }
}
