import { isFieldValue, isPackedHeaders, MAX_CONTENT_TYPE_BYTES, type ObjectMeta, type Precondition } from "./object.ts";

/**
 * The interface that a server has for servers in front of it, whose tier it is: src/l2/http asks, routes/tier answers.
 * docs/L2_HTTP.md describes it.
 */
export const TIER_PATH = "/v1/tier";

/** The path of a listing and, followed by a slash and the key in Base64, of an object. */
export const TIER_OBJECTS = "/v1/tier/objects";

/** The path of a question about many keys: which of them a GET would find. */
export const TIER_LOOKUP = "/v1/tier/lookup";

/** The header fields of the interface. */
export const TIER_FIELDS = {
  /** In every answer: the id of the server that gave it. */
  server: "vitrine-server",
  /** In a refusal: the reason, in Base64, because the answer to a HEAD has no body. */
  reason: "vitrine-reason",
  /** In an answer: the metadata of the object. In a PUT: what is known of it before the bytes. */
  meta: "vitrine-record",
  /** In the answer to a PUT: the metadata of the object that was replaced. */
  replaced: "vitrine-replaced",
  /** In a GET: `start-end`, the end exclusive; the answer has as many of these bytes as there are. */
  range: "vitrine-range",
} as const;

/** The metadata that is known before the bytes. */
export type EarlyMeta = Pick<ObjectMeta, "contentType" | "sha256" | "headers"> & {
  readonly sizeBytes?: number | undefined;
};

/** The end of a PUT's body, after the bytes of the object. */
export interface PutTail {
  readonly meta: ObjectMeta;
  readonly precondition?: Precondition | undefined;
}

/** The largest tail of a PUT's body, its length included. */
export const MAX_TAIL_BYTES: number = 64 * 1024;
const LENGTH_BYTES = 4;

/** Longest text of header fields that an object may bring along: those that are kept, and what a wrapper adds. */
const MAX_HEADERS_LENGTH = 8192;

/** Encodes text as the Base64 of its UTF-8, without characters that have a meaning in URLs. */
export function toBase64(text: string): string {
  return new TextEncoder().encode(text).toBase64({ alphabet: "base64url", omitPadding: true });
}

/** Decodes what `toBase64` has made; undefined for any other text. */
export function fromBase64(base64: string): string | undefined {
  try {
    const bytes = Uint8Array.fromBase64(base64, { alphabet: "base64url", lastChunkHandling: "loose" });
    const text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
    return toBase64(text) === base64 ? text : undefined;
  } catch {
    return undefined;
  }
}

/** Formats metadata as the value of a header field. */
export function formatMeta(meta: ObjectMeta | EarlyMeta): string {
  return toBase64(JSON.stringify(meta));
}

/** Parses a header field of `formatMeta`; undefined unless it is sound. */
export function parseMeta(field: string | null): ObjectMeta | undefined {
  return metaOf(jsonOf(field));
}

/** Parses what is known of an object before its bytes; undefined unless it is sound. */
export function parseEarlyMeta(field: string | null): EarlyMeta | undefined {
  const value = jsonOf(field);
  return isEarly(value) ? value : undefined;
}

/** Returns the value as metadata; undefined unless it is sound. */
export function metaOf(value: unknown): ObjectMeta | undefined {
  return isMeta(value) ? value : undefined;
}

/** The end of a PUT's body: JSON, and its length in four bytes. */
export function encodeTail(tail: PutTail): Uint8Array<ArrayBuffer> {
  const json = new TextEncoder().encode(JSON.stringify(tail));
  const bytes = new Uint8Array(json.length + LENGTH_BYTES);
  bytes.set(json);
  new DataView(bytes.buffer).setUint32(json.length, json.length);
  return bytes;
}

/** Finds the tail at the end of a body, of which these are the last bytes; undefined if there is no sound one. */
export function splitTail(
  bytes: Uint8Array<ArrayBuffer>,
): { readonly rest: Uint8Array<ArrayBuffer>; readonly tail: PutTail } | undefined {
  const end = bytes.length - LENGTH_BYTES;
  if (end < 0) return undefined;
  const start = end - new DataView(bytes.buffer, bytes.byteOffset).getUint32(end);
  if (start < 0) return undefined;
  const tail = tailOf(parseJson(new TextDecoder().decode(bytes.subarray(start, end))));
  return tail && { rest: bytes.subarray(0, start), tail };
}

function jsonOf(field: string | null): unknown {
  const text = field === null ? undefined : fromBase64(field);
  return text === undefined ? undefined : parseJson(text);
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isEarly(value: unknown): value is EarlyMeta {
  if (!isRecord(value)) return false;
  const { sizeBytes, contentType, sha256, headers } = value;
  return (sizeBytes === undefined || isWhole(sizeBytes)) &&
    typeof contentType === "string" && isFieldValue(contentType) && contentType.length <= MAX_CONTENT_TYPE_BYTES &&
    typeof sha256 === "string" && /^(?:[A-Za-z0-9+/]{43}=)?$/.test(sha256) &&
    (headers === undefined ||
      (typeof headers === "string" && headers.length <= MAX_HEADERS_LENGTH && isPackedHeaders(headers)));
}

function isMeta(value: unknown): value is ObjectMeta {
  if (!isRecord(value)) return false;
  const { sizeBytes, crc32, version, createdMs, expiresMs } = value;
  return isEarly(value) && isWhole(sizeBytes) && isWhole(crc32) && crc32 < 2 ** 32 && isWhole(version) &&
    isTime(createdMs) &&
    isTime(expiresMs);
}

function isWhole(value: unknown): value is number {
  return typeof value === "number" && Number.isSafeInteger(value) && value >= 0;
}

function isTime(value: unknown): value is number {
  return typeof value === "number" && Number.isFinite(value) && value >= 0 && value <= Number.MAX_SAFE_INTEGER;
}

function tailOf(value: unknown): PutTail | undefined {
  if (!isRecord(value)) return undefined;
  const { meta, precondition } = value;
  if (!isMeta(meta)) return undefined;
  if (precondition === undefined) return { meta };
  return isPrecondition(precondition) ? { meta, precondition } : undefined;
}

function isPrecondition(value: unknown): value is Precondition {
  if (!isRecord(value)) return false;
  const { match, noneMatch, orAbsent } = value;
  return isTags(match) && isTags(noneMatch) && (orAbsent === undefined || typeof orAbsent === "boolean");
}

function isTags(value: unknown): boolean {
  return value === undefined || value === "*" ||
    (Array.isArray(value) && value.every((each) => typeof each === "string"));
}
