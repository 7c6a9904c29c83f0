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
  /** The other header fields of the PUT that are kept, as one text (kept_headers.ts); missing if there are none. */
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
