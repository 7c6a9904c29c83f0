import { crc32 } from "node:zlib";
import { Random } from "../support/random.ts";

const mib = 1024 ** 2;
const maxBytes = 8 * mib;
const headerBytes = 16;
const block = new Random(1).bytes(2 * maxBytes);

/**
 * Bytes by key and version: a header (key, version, size, CRC-32 of the rest) and a part of one random block that
 * differs from version to version.
 */
export interface Content {
  readonly header: Uint8Array;
  readonly pattern: Uint8Array;
}

/** What an object says of itself. */
export interface SelfDescription {
  readonly key: number;
  readonly version: number;
  readonly sizeBytes: number;
  /** Whether the checksum in its header is that of its bytes. */
  readonly isSound: boolean;
}

/** The content of a key's version: 1 KiB to 8 MiB, small ones as likely as large ones. */
export function contentOf(key: number, version: number): Content {
  const random = new Random(key * 1_000_003 + version);
  const sizeBytes = random.logUniform(1024, maxBytes);
  const start = random.below(block.byteLength - sizeBytes);
  const pattern = block.subarray(start, start + sizeBytes - headerBytes);
  const header = new Uint32Array([key, version, sizeBytes, crc32(pattern)]);
  return { header: new Uint8Array(header.buffer), pattern };
}

/** Size of the whole. */
export function sizeOf({ header, pattern }: Content): number {
  return header.byteLength + pattern.byteLength;
}

/** Whether `found` is what the content has from byte `start` on. */
export function hasBytes({ header, pattern }: Content, start: number, found: Uint8Array): boolean {
  const inHeader = Math.max(0, Math.min(headerBytes - start, found.byteLength));
  const from = Math.max(0, start - headerBytes);
  const rest = pattern.subarray(from, from + found.byteLength - inHeader);
  return Buffer.compare(header.subarray(start, start + inHeader), found.subarray(0, inHeader)) === 0 &&
    Buffer.compare(rest, found.subarray(inHeader)) === 0;
}

/** Reads the header of a whole object. */
export function describe(bytes: Uint8Array): SelfDescription {
  const [key = 0, version = 0, sizeBytes = 0, checksum = 0] = new Uint32Array(bytes.slice(0, headerBytes).buffer);
  const isSound = sizeBytes === bytes.byteLength && checksum === crc32(bytes.subarray(headerBytes));
  return { key, version, sizeBytes, isSound };
}
