import { crc32 } from "node:zlib";
import { isPackedHeaders, type ObjectKey, type ObjectMeta } from "../core/object.ts";
/** The version that this code writes, and the latest that it reads. */
const VERSION = 1;
/** Version u8, CRC-32 of the rest u32, five numbers f64, lengths of content type u16, SHA-256 u8, headers u32. */
const FIXED_BYTES = 1 + 4 + 5 * 8 + 2 + 1 + 4;
/** Replaces the length of headers if there are none. */
const NO_HEADERS = 0xffff_ffff;

/** A decoded record of metadata. */
export type DecodedMeta = { readonly meta: ObjectMeta } | "damaged" | "newer";

/** Encodes metadata for storage; numbers are little-endian. */
export function encodeMeta(meta: ObjectMeta): Buffer {
  const contentType = Buffer.from(meta.contentType);
  const sha256 = Buffer.from(meta.sha256);
  const headers = Buffer.from(meta.headers ?? "");
  const fixed = Buffer.alloc(FIXED_BYTES);
  const numbers = [meta.sizeBytes, meta.crc32, meta.version, meta.createdMs, meta.expiresMs];
  let at = 5;
  for (const number of numbers) at = fixed.writeDoubleLE(number, at);
  at = fixed.writeUInt16LE(contentType.length, at);
  at = fixed.writeUInt8(sha256.length, at);
  fixed.writeUInt32LE(meta.headers === undefined ? NO_HEADERS : headers.length, at);
  const record = Buffer.concat([fixed, contentType, sha256, headers]);
  record.writeUInt8(VERSION, 0);
  record.writeUInt32LE(crc32(record.subarray(5)), 1);
  return record;
}

/** Decodes a record; "newer" if a later version of Vitrine wrote it, whose records this version leaves alone. */
export function decodeMeta(record: Buffer): DecodedMeta {
  const [version = 0] = record;
  if (version > VERSION) return "newer";
  if (version < 1 || record.length < FIXED_BYTES || record.readUInt32LE(1) !== crc32(record.subarray(5))) {
    return "damaged";
  }
  const number = (index: number): number => record.readDoubleLE(5 + 8 * index);
  const contentTypeEnd = FIXED_BYTES + record.readUInt16LE(45);
  const sha256End = contentTypeEnd + record.readUInt8(47);
  const meta: ObjectMeta = {
    sizeBytes: number(0),
    crc32: number(1),
    version: number(2),
    createdMs: number(3),
    expiresMs: number(4),
    contentType: record.toString("utf8", FIXED_BYTES, contentTypeEnd),
    sha256: record.toString("utf8", contentTypeEnd, sha256End),
  };
  if (record.readUInt32LE(48) === NO_HEADERS) return { meta };
  return { meta: { ...meta, headers: record.toString("utf8", sha256End) } };
}

/** An object's key and metadata, as the files of a tier store them in JSON. */
export interface StoredObject {
  readonly key: ObjectKey;
  readonly meta: ObjectMeta;
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

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
