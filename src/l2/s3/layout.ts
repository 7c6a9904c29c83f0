import { createHash } from "node:crypto";
import { crc32 } from "node:zlib";
import type { ObjectKey } from "../../core/object.ts";

/** Payload bytes of a frame. A body is: generation, frames, and the record of metadata if it is not in the headers. */
export const FRAME_BYTES: number = 1024 * 1024;
/** Bytes of the CRC-32 after each frame's payload. */
export const FRAME_CRC_BYTES = 4;
/** Bytes of the generation, which is random, so that no two stores have the same body and entity tag. */
export const GENERATION_BYTES = 15;
/** Bytes from one frame to the next. */
const STRIDE = FRAME_BYTES + FRAME_CRC_BYTES;

/** The number of frames of an object; an empty object has an empty one. */
export function frameCount(sizeBytes: number): number {
  return Math.max(1, Math.ceil(sizeBytes / FRAME_BYTES));
}

/** Where a frame begins in the body. */
export function frameOffset(index: number): number {
  return GENERATION_BYTES + index * STRIDE;
}

/** Bytes of a body without the record. */
export function bodyBytes(sizeBytes: number): number {
  return GENERATION_BYTES + sizeBytes + frameCount(sizeBytes) * FRAME_CRC_BYTES;
}

/** The size of an object whose body has this many bytes and no record. */
export function sizeOfBody(bytes: number): number {
  const inFrames = Math.max(FRAME_CRC_BYTES, bytes - GENERATION_BYTES);
  return inFrames - Math.ceil(inFrames / STRIDE) * FRAME_CRC_BYTES;
}

/** The start of a frame's checksum, which covers the frame's place, so that a frame of another object is noticed. */
export function frameSeed(generation: string, index: number): number {
  return crc32(`${generation}:${index}`);
}

/**
 * Returns the payload of a frame, in the same memory, out of bytes that begin at `offset` of the body; undefined if it
 * is damaged or cut.
 */
export function openFrame(
  bytes: Buffer,
  { offset, index, generation, sizeBytes }: {
    readonly offset: number;
    readonly index: number;
    readonly generation: string;
    /** The size of the object. */
    readonly sizeBytes: number;
  },
): Buffer | undefined {
  const start = frameOffset(index) - offset;
  const end = start + Math.min(FRAME_BYTES, sizeBytes - index * FRAME_BYTES);
  if (bytes.length < end + FRAME_CRC_BYTES) return undefined;
  const payload = bytes.subarray(start, end);
  return bytes.readUInt32LE(end) === crc32(payload, frameSeed(generation, index)) ? payload : undefined;
}

/**
 * Verifies the frames from `first` to before `end` and moves their payloads together, in the same memory; undefined if
 * one is damaged or cut.
 */
export function joinFrames(
  bytes: Buffer,
  { first, end, ...of }: {
    readonly offset: number;
    readonly first: number;
    readonly end: number;
    readonly generation: string;
    readonly sizeBytes: number;
  },
): Buffer | undefined {
  const start = frameOffset(first) - of.offset;
  let at = start;
  for (let index = first; index < end; index += 1) {
    const payload = openFrame(bytes, { ...of, index });
    if (payload === undefined) return undefined;
    const from = frameOffset(index) - of.offset;
    bytes.copyWithin(at, from, from + payload.length);
    at += payload.length;
  }
  return bytes.subarray(start, at);
}

/** Characters of a directory-like part of a name. Gateways to file systems take no more than 255. */
const PART = 200;
/** Escaped keys up to this length are names; of longer ones, the name has the first HEAD characters and a hash. */
const [LONGEST, HEAD] = [560, 480];
/** Precedes a hash. It is never part of an escaped key. */
const HASHED = "~~";

/** The key behind a name; "hashed" if only the object's metadata has it, undefined if the name is not ours. */
export type ParsedName = ObjectKey | "hashed" | undefined;

/**
 * The names of objects in the bucket: `prefix/tenant/key`, all ASCII. They sort like the bytes of the keys, as far as
 * they are not hashed.
 */
export class NameSpace {
  readonly prefix: string;

  constructor(prefix: string) {
    this.prefix = prefix;
  }

  /** The name of an object, at most 970 characters. */
  nameOf({ tenant, key }: ObjectKey): string {
    const escaped = escapeBytes(key);
    const isLong = escaped.length > LONGEST;
    return this.baseOf(tenant) + split(isLong ? `${escaped.slice(0, HEAD)}${HASHED}${hash(key)}` : escaped);
  }

  /** The start of the names of a tenant's objects. */
  baseOf(tenant: string): string {
    const escaped = tenant === "" ? "-" : escapeBytes(tenant);
    return `${this.prefix}/${escaped.length > PART ? `${HASHED}${hash(tenant)}` : escaped}/`;
  }

  /** True if the key or the tenant cannot be read from the name. */
  isHashed(name: string): boolean {
    return name.includes(HASHED);
  }

  /** The start of the names of all of a tenant's keys with this prefix, and perhaps of others. */
  startOf(tenant: string, keyPrefix: string): string {
    return this.baseOf(tenant) + split(escapeBytes(keyPrefix).slice(0, HEAD));
  }

  /** A name that sorts before those of all keys after this one; those of some earlier keys may follow it, too. */
  before({ tenant, key }: ObjectKey): string {
    return this.baseOf(tenant) + split(escapeBytes(key).slice(0, HEAD));
  }

  /** Parses a name. */
  parse(name: string): ParsedName {
    if (!name.startsWith(`${this.prefix}/`)) return undefined;
    const match = /^([^/]+)\/(.+)$/s.exec(name.slice(this.prefix.length + 1));
    const [, tenantPart = "", keyPart = ""] = match ?? [];
    const joined = keyPart.replaceAll("~/", "");
    if (keyPart === "" || split(joined) !== keyPart) return undefined;
    const isHashedTenant = /^~~[0-9a-f]{64}$/.test(tenantPart);
    const tail = /^(.*)~~[0-9a-f]{64}$/.exec(joined);
    const tenant = isHashedTenant || tenantPart === "-" ? "" : unescapeBytes(tenantPart);
    if (tail !== null) return tail[1]?.length === HEAD && tenant !== undefined ? "hashed" : undefined;
    const key = unescapeBytes(joined);
    if (key === undefined || tenant === undefined) return undefined;
    return isHashedTenant ? "hashed" : { tenant, key };
  }

  /** Names with the same group may sort differently from their keys; all others sort like them. */
  groupOf(name: string): string {
    const rest = name.slice(name.indexOf("/", this.prefix.length + 1) + 1);
    return rest.replaceAll("~/", "").slice(0, HEAD);
  }
}

/** Puts "~/" after every PART characters. A name is never the directory of another one. */
function split(text: string): string {
  const parts = text.match(new RegExp(`.{1,${PART}}`, "gs")) ?? [];
  return parts.join("~/");
}

/** Letters and digits stay; each other byte becomes a mark, which sorts where the byte does, and two hex digits. */
function escapeBytes(text: string): string {
  return text.replaceAll(/[^0-9A-Za-z]/gu, (character) => {
    let escaped = "";
    for (const byte of Buffer.from(character)) {
      const mark = byte < 0x30 ? "-" : byte < 0x41 ? "=" : byte < 0x61 ? "_" : "~";
      escaped += mark + byte.toString(16).toUpperCase().padStart(2, "0");
    }
    return escaped;
  });
}

/** Returns the text, or undefined if it was not escaped by `escapeBytes`. */
function unescapeBytes(escaped: string): string | undefined {
  if (!/^(?:[0-9A-Za-z]|[-=_~][0-9A-F]{2})+$/.test(escaped)) return undefined;
  const plain = escaped.replaceAll(/[-=_~]([0-9A-F]{2})/g, "%$1");
  try {
    const text = decodeURIComponent(plain);
    return escapeBytes(text) === escaped ? text : undefined;
  } catch {
    return undefined;
  }
}

function hash(text: string): string {
  return createHash("sha256").update(text).digest("hex");
}
