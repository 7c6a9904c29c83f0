import { createHash, randomBytes } from "node:crypto";
import { dirname, join } from "node:path";
import type { ObjectKey } from "../../core/key.ts";
import { closeSync, fsyncSync, lstatSync, mkdirSync, openSync, readdirSync, renameSync, statSync } from "node:fs";
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
    syncFolder(above);
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

function syncFolder(path: string): void {
  const descriptor = openSync(path, "r");
  try {
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
}
