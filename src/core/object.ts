/** Metadata of a stored object. Immutable: each PUT creates a new one. */
export interface ObjectMeta {
  readonly sizeBytes: number;
  /** CRC-32 (zlib's polynomial) of the whole object, as an unsigned 32-bit number; 0 for an empty object. */
  readonly crc32: number;
  /** Unique and increasing among the writes of a server: milliseconds since the epoch * 1024 + a sequence number. */
  readonly version: number;
  /** Milliseconds since the epoch at which the object was admitted. */
  readonly createdMs: number;
  /** Milliseconds since the epoch at which the object expires; 0 = never. */
  readonly expiresMs: number;
  /** The Content-Type of the PUT, at most 255 bytes; "" if it had none. */
  readonly contentType: string;
  /** Base64 SHA-256 of the bytes if the PUT carried a Content-Digest that was verified, else "". */
  readonly sha256: string;
  /** The other header fields kept from the PUT, as one text (packHeaders); missing if there are none. */
  readonly headers?: string;
}

/** Maximum length of a kept Content-Type in bytes of UTF-8. */
export const MAX_CONTENT_TYPE_BYTES = 255;

/**
 * The strong entity tag (RFC 9110 8.8.3), with its quotes. It consists of the checksum and the unique version, so two
 * contents of one key never share it.
 */
export function etagOf(meta: ObjectMeta): string {
  return `"${meta.crc32.toString(16).padStart(8, "0")}-${meta.version.toString(36)}"`;
}

/** True if the object has expired at `nowMs`, in milliseconds since the epoch. */
export function isExpired(meta: ObjectMeta, nowMs: number): boolean {
  return meta.expiresMs !== 0 && meta.expiresMs <= nowMs;
}

/** A header field: its name in lower case, and its value with one character (U+0000 to U+00FF) per byte. */
export type HeaderField = readonly [name: string, value: string];

/** Maximum number of header fields kept with one object. */
export const MAX_KEPT_HEADERS = 64;

/** Maximum total size of the kept fields in bytes: names, values, and two more for each field. */
export const MAX_KEPT_HEADER_BYTES = 4096;

const FIELD_VALUE = /^[\t\x20-\x7e\x80-\xff]*$/;
const PACKED = /^(?:[!#$%&'*+.^_`|~0-9a-z-]+:[\t\x20-\x7e\x80-\xff]*\n)+$/;

/**
 * True if the text is a valid field value (RFC 9110 5.5): characters are bytes, and HTAB is the only control character.
 */
export function isFieldValue(text: string): boolean {
  return FIELD_VALUE.test(text);
}

/** Packs fields into one text, sorted by name, with two separators per field; "" if there are none. */
export function packHeaders(fields: readonly HeaderField[]): string {
  const sorted = fields.toSorted(([a], [b]) => a < b ? -1 : 1);
  return sorted.map(([name, value]) => `${name}:${value}\n`).join("");
}

/** Returns the fields in a text made by `packHeaders`. */
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

/** True if the text is a nonempty result of `packHeaders`, so that its values cannot break out of a header field. */
export function isPackedHeaders(text: string): boolean {
  return PACKED.test(text);
}

/** Entity tags with their quotes, weak ones with `W/`; "*" matches any. */
export type EntityTags = "*" | readonly string[];

/** The condition for a change of an object (If-Match, If-None-Match), as data that can cross threads. */
export interface Precondition {
  /** The object must exist and have one of these (strong comparison, RFC 9110 8.8.3.2). */
  readonly match?: EntityTags | undefined;
  /** The object must have none of these (weak comparison). */
  readonly noneMatch?: EntityTags | undefined;
  /** The change may proceed if there is no object, whatever `match` says (default false). */
  readonly orAbsent?: boolean;
}

/** True if a change of the current object (undefined: there is none) may proceed. */
export function holds({ match, noneMatch, orAbsent = false }: Precondition, current: ObjectMeta | undefined): boolean {
  if (current === undefined) return orAbsent || match === undefined;
  const etag = etagOf(current);
  if (match !== undefined && match !== "*" && !match.includes(etag)) return false;
  return noneMatch === undefined ||
    (noneMatch !== "*" && !noneMatch.some((each) => each === etag || each === `W/${etag}`));
}

/** Identifies an object: a tenant (an isolation domain, "" by default) and a key in it. Tenants never share objects. */
export interface ObjectKey {
  /** 0-128 bytes of UTF-8, none of them NUL. */
  readonly tenant: string;
  /** 1-1024 bytes of UTF-8, any characters. */
  readonly key: string;
  /** The traced request that uses the key, so that events can refer to it. Not part of the object's identity. */
  readonly requestId?: string | undefined;
}

/** Maximum length of a key in bytes of UTF-8. */
export const MAX_KEY_BYTES = 1024;

/** Maximum length of a tenant in bytes of UTF-8. */
export const MAX_TENANT_BYTES = 128;

/**
 * A string that identifies an object, for maps in one process; never for storage or labels. It is unique because a
 * tenant contains no NUL.
 */
export function keyId(key: ObjectKey): string {
  return `${key.tenant}\0${key.key}`;
}

/**
 * Compares keys by their UTF-8 bytes. (JavaScript compares UTF-16 code units, which sorts U+E000-U+FFFF after the
 * astral planes.)
 */
export function compareKeys(a: string, b: string): number {
  const length = Math.min(a.length, b.length);
  for (let i = 0; i < length; i++) {
    const x = a.charCodeAt(i);
    const y = b.charCodeAt(i);
    if (x !== y) return isSurrogate(x) === isSurrogate(y) ? x - y : isSurrogate(x) ? 1 : -1;
  }
  return a.length - b.length;
}

function isSurrogate(code: number): boolean {
  return code >= 0xd800 && code <= 0xdfff;
}
