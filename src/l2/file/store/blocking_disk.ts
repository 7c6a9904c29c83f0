import {
  closeSync,
  fdatasyncSync,
  fsyncSync,
  ftruncateSync,
  openSync,
  readdirSync,
  readSync,
  renameSync,
  statfsSync,
  statSync,
  unlinkSync,
  writevSync,
} from "node:fs";
import { errorCode } from "../disk.ts";
import { makeFolder } from "../layout.ts";

/** How much a file system holds. */
export interface DiskSpace {
  readonly capacityBytes: number;
  /** What an ordinary user may still write. */
  readonly freeBytes: number;
}

/**
 * The file system as the thread that owns a folder uses it: every call blocks. Tests put a failing or a forgetful one
 * in its place. Errors are those of node:fs.
 */
export interface BlockingDisk {
  /** A new file, open for appending and reading; it must not exist. */
  create(path: string): number;
  /** An existing file, open for reading; undefined if there is none. */
  open(path: string): number | undefined;
  /** Writes all of the buffers, one behind the other, at `position`. */
  write(file: number, buffers: readonly Uint8Array[], position: number): void;
  /** Fills `into` as far as the file goes; returns how many bytes there were. */
  read(file: number, into: Uint8Array, position: number): number;
  truncate(file: number, length: number): void;
  /** Brings a file's content onto stable storage. */
  sync(file: number): void;
  /** The same for a file by its path. */
  syncPath(path: string): void;
  close(file: number): void;
  rename(from: string, to: string): void;
  /** Makes a folder, durably; nothing if it is there. */
  makeFolder(path: string): void;
  /** Removes a file; no error if there is none. */
  remove(path: string): void;
  /** Makes new names, renames and removals in a folder durable. */
  syncFolder(path: string): void;
  /**
   * How full the file system is that a path lies on; undefined if it does not say, as some network file systems do not.
   */
  space(path: string): DiskSpace | undefined;
  /** The names in a folder. */
  names(path: string): readonly string[];
  /** Length of a file in bytes; undefined if there is none. */
  size(path: string): number | undefined;
}

/** The most buffers that one call of writev takes on Linux. */
const MAX_BUFFERS = 1024;

/** The real file system. */
export const systemDisk: BlockingDisk = {
  create: (path) => openSync(path, "wx+"),
  open: (path) => unlessMissing(() => openSync(path, "r")),
  write(file, buffers, position) {
    let at = position;
    for (let first = 0; first < buffers.length; first += MAX_BUFFERS) {
      at += writeAll(file, buffers.slice(first, first + MAX_BUFFERS), at);
    }
  },
  read(file, into, position) {
    let done = 0;
    while (done < into.length) {
      const count = readSync(file, into, done, into.length - done, position + done);
      if (count === 0) break;
      done += count;
    }
    return done;
  },
  truncate: ftruncateSync,
  sync: fdatasyncSync,
  syncPath,
  close: closeSync,
  rename: renameSync,
  makeFolder,
  remove: (path) => unlessMissing(() => unlinkSync(path)),
  syncFolder: syncPath,
  space(path) {
    try {
      const { blocks, bavail, bsize } = statfsSync(path);
      return blocks === 0 ? undefined : { capacityBytes: blocks * bsize, freeBytes: bavail * bsize };
    } catch {
      return undefined;
    }
  },
  names: (path) => readdirSync(path),
  size: (path) => unlessMissing(() => statSync(path).size),
};

function syncPath(path: string): void {
  const file = openSync(path, "r");
  try {
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
}

/** Writes buffers whole, also where the kernel takes a part of them; returns their bytes. */
function writeAll(file: number, buffers: readonly Uint8Array[], position: number): number {
  const total = buffers.reduce((sum, bytes) => sum + bytes.length, 0);
  let left = buffers;
  for (let done = 0; done < total;) {
    const count = writevSync(file, left, position + done);
    done += count;
    if (done < total) left = without(left, count);
  }
  return total;
}

/** What is left of the buffers behind their first `count` bytes. */
function without(buffers: readonly Uint8Array[], count: number): readonly Uint8Array[] {
  const left: Uint8Array[] = [];
  let skip = count;
  for (const bytes of buffers) {
    if (skip >= bytes.length) skip -= bytes.length;
    else {
      left.push(bytes.subarray(skip));
      skip = 0;
    }
  }
  return left;
}

function unlessMissing<T>(call: () => T): T | undefined {
  try {
    return call();
  } catch (error) {
    if (errorCode(error) === "ENOENT") return undefined;
    throw error;
  }
}

/** The disk, but with nothing synced. */
export function withoutSync(disk: BlockingDisk): BlockingDisk {
  return { ...disk, sync: () => {}, syncPath: () => {}, syncFolder: () => {} };
}
