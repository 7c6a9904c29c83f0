import { VitrineError } from "../../src/core/errors.ts";
import { responseDirectives } from "./cache_control.ts";
import {
  type HeaderField,
  isFieldValue,
  MAX_KEPT_HEADER_BYTES,
  MAX_KEPT_HEADERS,
  packHeaders,
  unpackHeaders,
} from "../../src/core/object.ts";
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
export function parseKeptHeaders(headers: Headers): string | undefined {
  const fields: HeaderField[] = [];
  for (const [name, given] of headers) {
    const value = keptValue(name, given);
    if (value === undefined) continue;
    if (!isFieldValue(value)) throw new VitrineError("bad_request", `parse ${name}: not the value of a header field`);
    fields.push([name, value]);
  }
  return fields.length === 0 ? undefined : packBounded(fields);
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

function packBounded(fields: readonly HeaderField[]): string {
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
