import { Buffer } from "node:buffer";
import { crc32 } from "node:zlib";
import type { ObjectKey, ObjectMeta } from "../../../core/object.ts";
import { parseObject, type StoredObject } from "../../meta_record.ts";
/** Bytes of the fixed header before every record's head. */
export const RECORD_HEADER_BYTES = 24;
/**
 * Bytes of the header of a segment file: "VTRS", the format version, and a random number that identifies the segment.
 */
export const SEGMENT_HEADER_BYTES = 16;
/** The version of the segment format that this code writes. Higher versions are rejected. */
export const SEGMENT_FORMAT = 1;

const SEGMENT_MAGIC = 0x53525456; // "VTRS", little-endian
const RECORD_MAGIC = 0x52525456; // "VTRR", little-endian
const KIND = { object: 1, tombstone: 2, clear: 3, file: 4, clearAll: 5 } as const;

/**
 * The head of a record: an object with its bytes, or one whose bytes are in a file; a tombstone, which ends all earlier
 * records of its key; or a clear, which ends all earlier records of a tenant, or of all tenants.
 */
export type RecordHead =
  | ({ readonly kind: "object" } & StoredObject)
  | ({ readonly kind: "file"; readonly fileBytes: number } & StoredObject)
  | { readonly kind: "tombstone"; readonly key: ObjectKey }
  | { readonly kind: "clear"; readonly tenant: string | undefined };

/** A decoded record of a segment. */
export interface FoundRecord extends RecordLengths {
  readonly head: RecordHead;
}

/** The decoded header of a segment file. */
export interface SegmentHeader {
  readonly format: number;
  /** Sixteen hex digits. */
  readonly nonce: string;
}

/** Returns the header of a new segment file. */
export function newSegmentHeader(): Uint8Array {
  const bytes = new Uint8Array(SEGMENT_HEADER_BYTES);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, SEGMENT_MAGIC, true);
  view.setUint32(4, SEGMENT_FORMAT, true);
  crypto.getRandomValues(bytes.subarray(8));
  return bytes;
}

/** Decodes the header at the start of a segment file; undefined if it is not valid. */
export function decodeSegmentHeader(bytes: Uint8Array): SegmentHeader | undefined {
  if (bytes.length < SEGMENT_HEADER_BYTES) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset, SEGMENT_HEADER_BYTES);
  if (view.getUint32(0, true) !== SEGMENT_MAGIC) return undefined;
  return {
    format: view.getUint32(4, true),
    nonce: view.getBigUint64(8, true).toString(16).padStart(16, "0"),
  };
}

/**
 * Encodes header and head of a record; the payload follows. The header is magic u32, kind u32, head length u32, payload
 * length u32, CRC-32 of the head u32, CRC-32 of the preceding header bytes u32; all little-endian. The payload's
 * checksum is the object's own, in its metadata.
 */
export function encodeRecord(head: RecordHead): Uint8Array {
  const payloadBytes = head.kind === "object" ? head.meta.sizeBytes : 0;
  const json = JSON.stringify(fieldsOf(head));
  const jsonBytes = Buffer.byteLength(json);
  // A Buffer, because for a DataView the runtime would have to move the bytes of each small array.
  const bytes = Buffer.allocUnsafe(RECORD_HEADER_BYTES + jsonBytes);
  bytes.write(json, RECORD_HEADER_BYTES);
  bytes.writeUInt32LE(RECORD_MAGIC, 0);
  bytes.writeUInt32LE(kindOf(head), 4);
  bytes.writeUInt32LE(jsonBytes, 8);
  bytes.writeUInt32LE(payloadBytes, 12);
  bytes.writeUInt32LE(crc32(bytes.subarray(RECORD_HEADER_BYTES)), 16);
  bytes.writeUInt32LE(crc32(bytes.subarray(0, 20)), 20);
  return bytes;
}

/** The lengths of a record, from its header. */
export interface RecordLengths {
  /** Bytes before the payload. */
  readonly headBytes: number;
  readonly payloadBytes: number;
}

/** Returns the lengths of the record at the start of `bytes`; undefined if there is no valid header. */
export function recordLengths(bytes: Uint8Array): RecordLengths | undefined {
  if (bytes.length < RECORD_HEADER_BYTES) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset, RECORD_HEADER_BYTES);
  if (view.getUint32(0, true) !== RECORD_MAGIC) return undefined;
  if (view.getUint32(20, true) !== crc32(bytes.subarray(0, 20))) return undefined;
  return { headBytes: RECORD_HEADER_BYTES + view.getUint32(8, true), payloadBytes: view.getUint32(12, true) };
}

/** Decodes the record at the start of `bytes`, which include at least its head; undefined if the head is damaged. */
export function decodeRecord(bytes: Uint8Array): FoundRecord | undefined {
  const lengths = recordLengths(bytes);
  if (lengths === undefined || lengths.headBytes > bytes.length) return undefined;
  const { headBytes, payloadBytes } = lengths;
  const view = new DataView(bytes.buffer, bytes.byteOffset, RECORD_HEADER_BYTES);
  const json = bytes.subarray(RECORD_HEADER_BYTES, headBytes);
  if (view.getUint32(16, true) !== crc32(json)) return undefined;
  const stored = parseObject(json);
  if (stored === undefined) return undefined;
  switch (view.getUint32(4, true)) {
    case KIND.object:
      if (stored.meta.sizeBytes !== payloadBytes) return undefined;
      return { head: { kind: "object", ...stored }, headBytes, payloadBytes };
    case KIND.tombstone:
      return { head: { kind: "tombstone", key: stored.key }, headBytes, payloadBytes };
    case KIND.file:
      return { head: { kind: "file", ...stored, fileBytes: fileBytesOf(json) }, headBytes, payloadBytes };
    case KIND.clear:
      return { head: { kind: "clear", tenant: stored.key.tenant }, headBytes, payloadBytes };
    case KIND.clearAll:
      return { head: { kind: "clear", tenant: undefined }, headBytes, payloadBytes };
    default:
      return undefined;
  }
}

function kindOf(head: RecordHead): number {
  return head.kind === "clear" && head.tenant === undefined ? KIND.clearAll : KIND[head.kind];
}

/** Returns the JSON fields of a head. Every kind has the fields of an object, so that one parser reads them all. */
function fieldsOf(head: RecordHead): object {
  if (head.kind === "object") return { ...plain(head.key), ...head.meta };
  if (head.kind === "file") return { ...plain(head.key), ...head.meta, fileBytes: head.fileBytes };
  const key = head.kind === "clear" ? { tenant: head.tenant ?? "", key: "" } : plain(head.key);
  return { ...key, ...NO_META };
}

/** Reads the file length from a valid head of kind "file". */
function fileBytesOf(json: Uint8Array): number {
  const raw: unknown = JSON.parse(new TextDecoder().decode(json));
  const bytes: unknown = typeof raw === "object" && raw !== null ? Reflect.get(raw, "fileBytes") : undefined;
  return typeof bytes === "number" ? bytes : 0;
}

const NO_META: ObjectMeta = {
  sizeBytes: 0,
  crc32: 0,
  version: 0,
  createdMs: 0,
  expiresMs: 0,
  contentType: "",
  sha256: "",
};

function plain({ tenant, key }: ObjectKey): ObjectKey {
  return { tenant, key };
}
