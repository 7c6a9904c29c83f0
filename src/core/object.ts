/** What is known of a stored object besides its bytes. Immutable: a new PUT makes a new one. */
export interface ObjectMeta {
  readonly sizeBytes: number;
  /** CRC-32 (zlib's polynomial) of the whole object, as an unsigned 32-bit number; 0 for an empty object. */
  readonly crc32: number;
  /** Unique for every write of one server, grows with time: milliseconds since the epoch * 1024 + a sequence number. */
  readonly version: number;
  /** Milliseconds since the epoch at which the object was admitted. */
  readonly createdMs: number;
  /** Milliseconds since the epoch from which on the object is a miss; 0 = never. */
  readonly expiresMs: number;
  /** The Content-Type of the PUT, at most 255 bytes; "" if it had none. */
  readonly contentType: string;
  /** Base64 SHA-256 of the bytes if the PUT carried a Content-Digest that was verified, else "". */
  readonly sha256: string;
  /** The other header fields of the PUT that are kept, as one text (packHeaders); missing if there are none. */
  readonly headers?: string;
}

/** Most bytes a kept Content-Type may take in UTF-8. */
export const MAX_CONTENT_TYPE_BYTES = 255;

/**
 * The strong entity tag (RFC 9110 8.8.3) with its quotes: checksum and unique version, so two different contents of one
 * key never share it.
 */
export function etagOf(meta: ObjectMeta): string {
  return `"${meta.crc32.toString(16).padStart(8, "0")}-${meta.version.toString(36)}"`;
}

/** Whether the object's time to live has run out at `nowMs`. */
export function isExpired(meta: ObjectMeta, nowMs: number): boolean {
  return meta.expiresMs !== 0 && meta.expiresMs <= nowMs;
}

/** A header field: its name in lower case, and its value, one character (U+0000 to U+00FF) for each byte. */
export type HeaderField = readonly [name: string, value: string];

/** Most fields that are kept with one object. */
export const MAX_KEPT_HEADERS = 64;

/** Most bytes that they take together: names and values, and two for each field. */
export const MAX_KEPT_HEADER_BYTES = 4096;

const FIELD_VALUE = /^[\t\x20-\x7e\x80-\xff]*$/;
const PACKED = /^(?:[!#$%&'*+.^_`|~0-9a-z-]+:[\t\x20-\x7e\x80-\xff]*\n)+$/;

/**
 * True if text may stand as the value of a header field (RFC 9110 5.5): no control character but HTAB, and nothing that
 * is no byte.
 */
export function isFieldValue(text: string): boolean {
  return FIELD_VALUE.test(text);
}

/** All fields as one text, sorted by name; "" for none. Two characters for each field stand beside name and value. */
export function packHeaders(fields: readonly HeaderField[]): string {
  const sorted = fields.toSorted(([a], [b]) => a < b ? -1 : 1);
  return sorted.map(([name, value]) => `${name}:${value}\n`).join("");
}

/** The fields of a text that `packHeaders` made. */
export function unpackHeaders(packed: string): readonly HeaderField[] {
  const fields: HeaderField[] = [];
  for (let at = 0; at < packed.length;) {
    const colon = packed.indexOf(":", at);
    const end = packed.indexOf("\n", colon);
    fields.push([packed.slice(at, colon), packed.slice(colon + 1, end)]);
    at = end + 1;
  }
  return fields;
}

/** True if `packHeaders` can have made this text, which is not empty: its values cannot break out of a header field. */
export function isPackedHeaders(text: string): boolean {
  return PACKED.test(text);
}

/** Entity tags with their quotes, weak ones with `W/`; "*": any. */
export type EntityTags = "*" | readonly string[];

/** What a change asks of the object that is there: If-Match, If-None-Match. Data, because it crosses threads. */
export interface Precondition {
  /** The object must have one of these (strong comparison, RFC 9110 8.8.3.2). Nothing matches none. */
  readonly match?: EntityTags | undefined;
  /** The object must have none of these (weak comparison). */
  readonly noneMatch?: EntityTags | undefined;
  /** Where there is no object, the change may go on whatever the rest says (default false). */
  readonly orAbsent?: boolean;
}

/** Decides on the object that is there now (undefined: none) whether a change may go on. */
export function holds({ match, noneMatch, orAbsent = false }: Precondition, current: ObjectMeta | undefined): boolean {
  if (current === undefined) return orAbsent || match === undefined;
  const etag = etagOf(current);
  if (match !== undefined && match !== "*" && !match.includes(etag)) return false;
  return noneMatch === undefined ||
    (noneMatch !== "*" && !noneMatch.some((each) => each === etag || each === `W/${etag}`));
}
