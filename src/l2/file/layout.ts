import { createHash, randomBytes } from "node:crypto";
import { closeSync, fsyncSync, lstatSync, mkdirSync, openSync, readdirSync, renameSync, statSync } from "node:fs";
import { dirname, join } from "node:path";
import { crc32 } from "node:zlib";
import { VitrineError } from "../../core/errors.ts";
import { parseObject, type StoredObject } from "../meta_record.ts";
import type { ObjectKey } from "../../core/object.ts";

const FILE_NAME = /^[0-9a-f]{64}-[0-9a-z]{1,11}\.object$/;
const UNLOGGED_NAME = /^[0-9a-f]{64}-[0-9a-z]{1,11}$/;
const SEGMENT_NAME = /^[0-9a-f]{12}\.segment$/;
const TEMP_SUFFIX = ".tmp";

/** The paths in an adapter's folder. Raw keys never appear in a path. */
export class Layout {
  readonly root: string;
  readonly indexPath: string;
  readonly lockPath: string;
  /** A file that only takes up room, to be removed when the disk is full. */
  readonly reservePath: string;
  /** The folder of unfinished files. */
  readonly incomingPath: string;
  /** The folder of the segment files. */
  readonly segmentsPath: string;
  /** The 256 names of the folders that hold object files: "00" to "ff". */
  readonly folders: readonly string[] = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, "0"));
  readonly #tempStem = `${process.pid}-${randomBytes(6).toString("hex")}`;
  #temps = 0;

  constructor(root: string) {
    this.root = root;
    this.indexPath = join(root, "index.sqlite");
    this.lockPath = join(root, "lock.sqlite");
    this.reservePath = join(root, "reserve");
    this.incomingPath = join(root, "incoming");
    this.segmentsPath = join(root, "segments");
  }

  /**
   * Returns the file name of one version of an object: SHA-256 of tenant, NUL and key in hex, "-", the version in base
   * 36, ".object".
   */
  objectName(key: ObjectKey, version: number): string {
    const hash = createHash("sha256").update(`${key.tenant}\0${key.key}`).digest("hex");
    return `${hash}-${version.toString(36)}.object`;
  }

  /** True if `objectName` could have produced this name. */
  isObjectName(fileName: string): boolean {
    return FILE_NAME.test(fileName);
  }

  /** True for an object file name of 0.1.0, which had no segments: today's name without ".object". */
  isUnloggedName(fileName: string): boolean {
    return UNLOGGED_NAME.test(fileName);
  }

  /** True for the file of an unfinished write. */
  isTempName(fileName: string): boolean {
    return fileName.endsWith(TEMP_SUFFIX);
  }

  /** Full path of one of the 256 folders. */
  folderPath(folder: string): string {
    return join(this.root, "objects", folder);
  }

  /** Full path of the folder that holds `name`. */
  folderOf(name: string): string {
    return this.folderPath(name.slice(0, 2));
  }

  /** Full path of an object file. */
  objectPath(name: string): string {
    return join(this.folderOf(name), name);
  }

  /** Full path of a segment file. */
  segmentPath(id: number): string {
    return join(this.segmentsPath, `${id.toString(16).padStart(12, "0")}.segment`);
  }

  /** Returns the number of a segment file; undefined for other names. */
  segmentId(name: string): number | undefined {
    return SEGMENT_NAME.test(name) ? Number.parseInt(name.slice(0, 12), 16) : undefined;
  }

  /** Returns a unique path for a file that is being written. */
  tempPath(): string {
    this.#temps += 1;
    return join(this.incomingPath, `${this.#tempStem}-${this.#temps}${TEMP_SUFFIX}`);
  }
}

/**
 * Makes the folders that must exist, durably: a file is no safer than the directory entry that leads to it. Anything
 * else in their place is moved aside.
 */
export function makeFolders(layout: Layout): void {
  makeFolder(join(layout.root, "objects"));
  makeFolder(layout.incomingPath);
  makeFolder(layout.segmentsPath);
}

/** Makes a folder and its parents, durably; does nothing if it exists. Anything else in its place is moved aside. */
export function makeFolder(path: string): void {
  setAside(path, "folder");
  const first = mkdirSync(path, { recursive: true });
  if (first === undefined) return;
  for (let above = dirname(path); above.length >= dirname(first).length; above = dirname(above)) {
    syncPath(above);
    if (above === dirname(above)) return;
  }
}

/**
 * Renames anything of the wrong kind at this path (a folder called index.sqlite, a pipe called lock.sqlite) to a unique
 * name. It is not deleted, because it may be somebody's data.
 */
export function setAside(path: string, wanted: "file" | "folder"): void {
  if (lstatSync(path, { throwIfNoEntry: false }) === undefined) return;
  const found = statSync(path, { throwIfNoEntry: false });
  if (wanted === "file" ? found?.isFile() : found?.isDirectory()) return;
  renameSync(path, `${path}.aside-${Date.now()}`);
}

/** Returns the names of the regular files in a folder; none if there is no such folder. */
export function fileNames(path: string): readonly string[] {
  if (statSync(path, { throwIfNoEntry: false })?.isDirectory() !== true) return [];
  return readdirSync(path, { withFileTypes: true }).filter((entry) => entry.isFile()).map(({ name }) => name);
}

/** Writes a file's content, or the names in a folder, to stable storage. */
export function syncPath(path: string): void {
  const descriptor = openSync(path, "r");
  try {
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
}

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

function tooNew(version: number): VitrineError {
  return new VitrineError(
    "tier_failed",
    `read object file: its format is VTR${version}, of a later version of Vitrine; this one reads up to VTR${KNOWN_VERSIONS}`,
  );
}
