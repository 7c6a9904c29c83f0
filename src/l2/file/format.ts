import { crc32 } from "node:zlib";
import { VitrineError } from "../../core/errors.ts";
import { isPackedHeaders, type ObjectMeta } from "../../core/object.ts";
import type { ObjectKey } from "../../core/key.ts";
/** Payload bytes covered by one checksum: the unit of reading and verifying. */
export const BLOCK_BYTES: number = 1024 * 1024;

/** Bytes of the fixed footer at the end of every object file. */
export const FOOTER_BYTES = 28;

/** "VTR0", little-endian. The magic of version n adds n to the highest byte, so it reads "VTRn". */
const MAGIC = 0x30525456;
const VERSION_UNIT = 0x01000000;

/**
 * The highest version that this code reads. Version 1 has no kept headers and is what 0.1.0 reads and writes; version 2
 * has them in its metadata. A file gets the lowest version that can represent its content.
 */
const KNOWN_VERSIONS = 2;

/** An object's key and metadata, as an object file stores them. */
export interface StoredObject {
  readonly key: ObjectKey;
  readonly meta: ObjectMeta;
}

/** Everything in an object file except the payload, verified. */
export interface Tail extends StoredObject {
  /** Returns the CRC-32 of block `index` of the payload. */
  blockCrc(index: number): number;
}

/**
 * Encodes the block table, metadata and footer, which follow the payload in a file.
 * Footer: magic u32, metadata length u32, payload size u64, block size u32, CRC-32 of table and metadata u32, CRC-32 of
 * the preceding footer bytes u32; all little-endian. In every later version the last 28 bytes must begin with its magic
 * and end with their CRC-32, so that a newer file can be told apart from a damaged one.
 */
export function encodeTail(object: StoredObject, blockCrcs: readonly number[]): Uint8Array {
  const json = new TextEncoder().encode(JSON.stringify({ ...object.key, ...object.meta }));
  const tableBytes = blockCrcs.length * 4;
  const footerAt = tableBytes + json.length;
  const tail = new Uint8Array(footerAt + FOOTER_BYTES);
  const view = new DataView(tail.buffer);
  for (const [index, crc] of blockCrcs.entries()) view.setUint32(index * 4, crc, true);
  tail.set(json, tableBytes);
  view.setUint32(footerAt, MAGIC + (object.meta.headers === undefined ? 1 : 2) * VERSION_UNIT, true);
  view.setUint32(footerAt + 4, json.length, true);
  view.setBigUint64(footerAt + 8, BigInt(object.meta.sizeBytes), true);
  view.setUint32(footerAt + 16, BLOCK_BYTES, true);
  view.setUint32(footerAt + 20, crc32(tail.subarray(0, footerAt)), true);
  view.setUint32(footerAt + 24, crc32(tail.subarray(footerAt, footerAt + 24)), true);
  return tail;
}

/**
 * Returns the length of the tail of a file of `fileBytes` bytes; undefined if the footer is not valid. `bytes` end at
 * the end of the file. Throws tier_failed if a later version of Vitrine wrote the file.
 */
export function tailLength(bytes: Uint8Array, fileBytes: number): number | undefined {
  if (bytes.length < FOOTER_BYTES) return undefined;
  const footer = bytes.subarray(bytes.length - FOOTER_BYTES);
  const view = new DataView(footer.buffer, footer.byteOffset, FOOTER_BYTES);
  if (view.getUint32(24, true) !== crc32(footer.subarray(0, 24))) return undefined;
  const version = (view.getUint32(0, true) - MAGIC) / VERSION_UNIT;
  if (!Number.isInteger(version) || version < 1) return undefined;
  if (version > KNOWN_VERSIONS) throw tooNew(version);
  if (view.getUint32(16, true) !== BLOCK_BYTES) return undefined;
  const sizeBytes = Number(view.getBigUint64(8, true));
  const length = Math.ceil(sizeBytes / BLOCK_BYTES) * 4 + view.getUint32(4, true) + FOOTER_BYTES;
  return sizeBytes + length === fileBytes ? length : undefined;
}

/**
 * Decodes the tail of a file of `fileBytes` bytes; undefined if any of it is damaged. `bytes` end at the end of the
 * file and include at least the tail. Throws like tailLength.
 */
export function decodeTail(bytes: Uint8Array, fileBytes: number): Tail | undefined {
  const length = tailLength(bytes, fileBytes);
  if (length === undefined || length > bytes.length) return undefined;
  const tail = bytes.subarray(bytes.length - length);
  const view = new DataView(tail.buffer, tail.byteOffset, length);
  const footerAt = length - FOOTER_BYTES;
  if (view.getUint32(footerAt + 20, true) !== crc32(tail.subarray(0, footerAt))) return undefined;
  const object = parseObject(tail.subarray(footerAt - view.getUint32(footerAt + 4, true), footerAt));
  if (object === undefined || object.meta.sizeBytes !== fileBytes - length) return undefined;
  return { ...object, blockCrc: (index) => view.getUint32(index * 4, true) };
}

/** Parses key and metadata from JSON; undefined if any of it is invalid. */
export function parseObject(json: Uint8Array): StoredObject | undefined {
  const raw = parseJson(new TextDecoder().decode(json));
  const meta = parseMeta(raw);
  if (meta === undefined) return undefined;
  const { text } = fieldsOf(raw);
  return { key: { tenant: text("tenant"), key: text("key") }, meta };
}

/**
 * Parses metadata from JSON; undefined if it is not an object, if a numeric field is not a number, or if a header could
 * break out of its field.
 */
export function parseMeta(raw: unknown): ObjectMeta | undefined {
  if (typeof raw !== "object" || raw === null) return undefined;
  const { text, number } = fieldsOf(raw);
  const headers = text("headers");
  if (headers !== "" && !isPackedHeaders(headers)) return undefined;
  const meta: ObjectMeta = {
    sizeBytes: number("sizeBytes"),
    crc32: number("crc32"),
    version: number("version"),
    createdMs: number("createdMs"),
    expiresMs: number("expiresMs"),
    contentType: text("contentType"),
    sha256: text("sha256"),
    ...(headers === "" ? {} : { headers }),
  };
  const sound = [meta.sizeBytes, meta.crc32, meta.version, meta.createdMs, meta.expiresMs].every(Number.isFinite);
  return sound ? meta : undefined;
}

function fieldsOf(raw: unknown) {
  const fields: object = typeof raw === "object" && raw !== null ? raw : {};
  return {
    text: (name: string): string => {
      const value: unknown = Reflect.get(fields, name);
      return typeof value === "string" ? value : "";
    },
    number: (name: string): number => {
      const value: unknown = Reflect.get(fields, name);
      return typeof value === "number" ? value : Number.NaN;
    },
  };
}

function tooNew(version: number): VitrineError {
  return new VitrineError(
    "tier_failed",
    `read object file: its format is VTR${version}, of a later version of Vitrine; this one reads up to VTR${KNOWN_VERSIONS}`,
  );
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
