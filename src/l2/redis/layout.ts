import { crc32 } from "node:zlib";
import type { ObjectKey } from "../../core/object.ts";

/** Payload bytes of a chunk; an object up to this size is stored in one value. */
export const CHUNK_BYTES: number = 1024 * 1024;

/** An entry of an index: an object's key, its size and its expiry time (0: never). */
export interface IndexEntry {
  readonly key: string;
  readonly sizeBytes: number;
  readonly expiresMs: number;
}

/**
 * The names of everything in the engine. Objects are spread over a fixed number of shards. Names of one shard share a
 * hash tag (the part in braces), so that a cluster keeps them on one node, where one script can change them.
 */
export class KeySpace {
  /** The prefix of each shard's names. */
  readonly bases: readonly string[];
  readonly prefix: string;

  constructor(prefix: string, shards: number) {
    this.prefix = prefix;
    this.bases = Array.from({ length: shards }, (_, shard) => `{${prefix}:${shard}}:`);
  }

  /** Returns the base of an object's shard. */
  baseOf({ tenant, key }: ObjectKey): string {
    return this.bases[crc32(`${tenant}\0${key}`) % this.bases.length] ?? "";
  }
}

/** The name of the hash with an object's metadata, and with its bytes if they are in one value. */
export function headName(base: string, { tenant, key }: ObjectKey): string {
  return `${base}o:${tenant}\0${key}`;
}

/** Returns a pattern for the names of all heads, or of one tenant's; it may match others. */
export function headPattern({ prefix }: KeySpace, tenant: string | undefined): string {
  return `{${prefix}:*}:o:${tenant === undefined ? "" : `${tenant.replaceAll(/[*?[\]\\^-]/g, "\\$&")}\0`}*`;
}

/** Parses the name of a head; undefined for other names. */
export function parseHeadName(
  { bases }: KeySpace,
  name: string,
): (ObjectKey & { readonly base: string }) | undefined {
  const base = bases.find((each) => name.startsWith(`${each}o:`));
  if (base === undefined) return undefined;
  const rest = name.slice(base.length + 2);
  const end = rest.indexOf("\0");
  return end < 0 ? undefined : { base, tenant: rest.slice(0, end), key: rest.slice(end + 1) };
}

/** The name of a tombstone, whose number makes older changes of the key superseded. */
export function tombName(base: string, { tenant, key }: ObjectKey): string {
  return `${base}d:${tenant}\0${key}`;
}

/** The name of the sorted set with a tenant's index entries. */
export function indexName(base: string, tenant: string): string {
  return `${base}i:${tenant}`;
}

/** The name of the hash with the shard's latest change and its clears. */
export function stateName(base: string): string {
  return `${base}s`;
}

/** The name of the hash with the tenants that have an index, and the bytes of their objects. */
export function tenantsName(base: string): string {
  return `${base}t`;
}

/** The name of a chunk: a part of the bytes of a large object. */
export function chunkName(base: string, generation: string, index: number): string {
  return `${base}c:${generation}:${index}`;
}

/** Encodes a key for an index: without NUL, in the same order as the key's bytes. */
export function escapeKey(key: string): Buffer {
  return Buffer.from(key.replaceAll("\u0001", "\u0001\u0002").replaceAll("\u0000", "\u0001\u0001"));
}

/** Parses an entry of an index. Throws if it is not valid. */
export function parseEntry(member: Buffer): IndexEntry {
  const end = member.indexOf(0);
  const match = /^(\d+):(\d+)$/.exec(member.toString("latin1", end + 1));
  if (end < 0 || match === null) throw new TypeError(`parse index entry: ${member.toString("hex")}`);
  const key = member.toString("utf8", 0, end).replaceAll("\u0001\u0001", "\u0000").replaceAll("\u0001\u0002", "\u0001");
  return { key, sizeBytes: Number(match[1]), expiresMs: Number(match[2]) };
}

/** Returns the bounds for ZRANGEBYLEX of the entries with a prefix that come after a key ("": from the start). */
export function entryRange(prefix: string, after: string): { readonly min: Buffer; readonly max: Buffer } {
  const start = escapeKey(prefix);
  const next = Buffer.concat([escapeKey(after), Buffer.of(1)]);
  const isAfterStart = after !== "" && Buffer.compare(next, start) > 0;
  return {
    min: Buffer.concat([Buffer.from("["), isAfterStart ? next : start]),
    max: start.length === 0 ? Buffer.from("+") : Buffer.concat([Buffer.from("("), start, Buffer.of(0xff)]),
  };
}

/** Bytes of the CRC-32 at the start of a chunk. */
export const CHUNK_HEAD_BYTES = 4;

/** Returns the number of chunks of an object of this size; 0 if it is stored in one value. */
export function chunkCount(sizeBytes: number): number {
  return sizeBytes <= CHUNK_BYTES ? 0 : Math.ceil(sizeBytes / CHUNK_BYTES);
}

/** The identity of a chunk. It is part of the checksum, so that a chunk in the wrong place is noticed. */
export interface ChunkId {
  readonly generation: string;
  readonly index: number;
}

/** Writes the checksum of a chunk's payload into its first bytes. */
export function sealChunk(chunk: Buffer, id: ChunkId): void {
  chunk.writeUInt32LE(chunkCrc(chunk, id), 0);
}

/** Returns the payload of a chunk, in the same memory; undefined if it is damaged or another chunk's. */
export function openChunk(chunk: Buffer, id: ChunkId): Buffer | undefined {
  const isSound = chunk.length >= CHUNK_HEAD_BYTES && chunk.readUInt32LE(0) === chunkCrc(chunk, id);
  return isSound ? chunk.subarray(CHUNK_HEAD_BYTES) : undefined;
}

function chunkCrc(chunk: Buffer, { generation, index }: ChunkId): number {
  return crc32(chunk.subarray(CHUNK_HEAD_BYTES), crc32(`${generation}:${index}`));
}
