import { crc32 } from "node:zlib";
import type { ObjectKey } from "../../core/key.ts";

/** Payload bytes of a chunk; an object up to this size lies in one value. */
export const CHUNK_BYTES: number = 1024 * 1024;

/** An entry of an index: an object's key, its size and when it expires, 0 for never. */
export interface IndexEntry {
  readonly key: string;
  readonly sizeBytes: number;
  readonly expiresMs: number;
}

/**
 * The names of everything in the engine. All objects fall into a fixed number of shards; what belongs to one shard has
 * its name in braces, so that a cluster keeps it on one node, where one script can change it.
 */
export class KeySpace {
  /** The prefix of the names of each shard. */
  readonly bases: readonly string[];
  readonly prefix: string;

  constructor(prefix: string, shards: number) {
    this.prefix = prefix;
    this.bases = Array.from({ length: shards }, (_, shard) => `{${prefix}:${shard}}:`);
  }

  /** The base of the shard of an object. */
  baseOf({ tenant, key }: ObjectKey): string {
    return this.bases[crc32(`${tenant}\0${key}`) % this.bases.length] ?? "";
  }
}

/** The hash with an object's metadata, and with its bytes if they lie in one value. */
export function headName(base: string, { tenant, key }: ObjectKey): string {
  return `${base}o:${tenant}\0${key}`;
}

/** Matches the names of all heads, or of one tenant's, and perhaps some more. */
export function headPattern({ prefix }: KeySpace, tenant: string | undefined): string {
  return `{${prefix}:*}:o:${tenant === undefined ? "" : `${tenant.replaceAll(/[*?[\]\\^-]/g, "\\$&")}\0`}*`;
}

/** What a head's name says; undefined if it is none of these. */
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

/** How new a deleted object was. */
export function tombName(base: string, { tenant, key }: ObjectKey): string {
  return `${base}d:${tenant}\0${key}`;
}

/** The sorted set of a tenant's index entries. */
export function indexName(base: string, tenant: string): string {
  return `${base}i:${tenant}`;
}

/** The hash with the shard's latest change, and its clears. */
export function stateName(base: string): string {
  return `${base}s`;
}

/** The hash of the tenants that have an index, with the bytes of their objects. */
export function tenantsName(base: string): string {
  return `${base}t`;
}

/** A part of the bytes of a large object. */
export function chunkName(base: string, generation: string, index: number): string {
  return `${base}c:${generation}:${index}`;
}

/** A key in an index: without NUL, in the same order as the key's bytes. */
export function escapeKey(key: string): Buffer {
  return Buffer.from(key.replaceAll("\u0001", "\u0001\u0002").replaceAll("\u0000", "\u0001\u0001"));
}

/** An entry as the index holds it. Throws if it is none. */
export function parseEntry(member: Buffer): IndexEntry {
  const end = member.indexOf(0);
  const match = /^(\d+):(\d+)$/.exec(member.toString("latin1", end + 1));
  if (end < 0 || match === null) throw new TypeError(`parse index entry: ${member.toString("hex")}`);
  const key = member.toString("utf8", 0, end).replaceAll("\u0001\u0001", "\u0000").replaceAll("\u0001\u0002", "\u0001");
  return { key, sizeBytes: Number(match[1]), expiresMs: Number(match[2]) };
}

/** The bounds, as ZRANGEBYLEX takes them, of the entries with a prefix that come after a key ("" from the start). */
export function entryRange(prefix: string, after: string): { readonly min: Buffer; readonly max: Buffer } {
  const start = escapeKey(prefix);
  const behind = Buffer.concat([escapeKey(after), Buffer.of(1)]);
  const isBehind = after !== "" && Buffer.compare(behind, start) > 0;
  return {
    min: Buffer.concat([Buffer.from("["), isBehind ? behind : start]),
    max: start.length === 0 ? Buffer.from("+") : Buffer.concat([Buffer.from("("), start, Buffer.of(0xff)]),
  };
}
