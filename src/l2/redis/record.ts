import { crc32 } from "node:zlib";
import type { ObjectMeta } from "../../core/object.ts";
import { CHUNK_BYTES } from "./keys.ts";

/** The version that this code writes, and the latest that it reads. */
const VERSION = 1;
/** Version u8, CRC-32 of the rest u32, five numbers f64, lengths of content type u16, SHA-256 u8, headers u32. */
const FIXED_BYTES = 1 + 4 + 5 * 8 + 2 + 1 + 4;
/** Replaces the length of headers if there are none. */
const NO_HEADERS = 0xffff_ffff;
/** Bytes of the CRC-32 at the start of a chunk. */
export const CHUNK_HEAD_BYTES = 4;

/** A decoded record of metadata. */
export type DecodedMeta = { readonly meta: ObjectMeta } | "damaged" | "newer";

/** Encodes metadata for the engine; numbers are little-endian. */
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

/** Returns the number of chunks of an object of this size; 0 if it is stored in one value. */
export function chunkCount(sizeBytes: number): number {
  return sizeBytes <= CHUNK_BYTES ? 0 : Math.ceil(sizeBytes / CHUNK_BYTES);
}

/** The identity of a chunk. It is part of the checksum, so that a chunk in the wrong place is noticed. */
export interface ChunkPlace {
  readonly generation: string;
  readonly index: number;
}

/** Writes the checksum of a chunk's payload into its first bytes. */
export function sealChunk(chunk: Buffer, place: ChunkPlace): void {
  chunk.writeUInt32LE(chunkCrc(chunk, place), 0);
}

/** Returns the payload of a chunk, in the same memory; undefined if it is damaged or another chunk's. */
export function openChunk(chunk: Buffer, place: ChunkPlace): Buffer | undefined {
  const isSound = chunk.length >= CHUNK_HEAD_BYTES && chunk.readUInt32LE(0) === chunkCrc(chunk, place);
  return isSound ? chunk.subarray(CHUNK_HEAD_BYTES) : undefined;
}

function chunkCrc(chunk: Buffer, { generation, index }: ChunkPlace): number {
  return crc32(chunk.subarray(CHUNK_HEAD_BYTES), crc32(`${generation}:${index}`));
}
