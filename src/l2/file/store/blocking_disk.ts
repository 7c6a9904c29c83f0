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

/** Capacity and free space of a file system. */
export interface DiskSpace {
  readonly capacityBytes: number;
  /** Bytes available to an unprivileged user. */
  readonly freeBytes: number;
}

/**
 * The file system as the thread that owns a folder uses it; every call blocks. Tests substitute one that fails or loses
 * unsynced data. Errors are those of node:fs.
 */
export interface BlockingDisk {
  /** Creates a file for writing and reading; it must not exist. */
  create(path: string): number;
  /** Opens a file for reading; undefined if it does not exist. */
  open(path: string): number | undefined;
  /** Writes all buffers, one after the other, at `position`. */
  write(file: number, buffers: readonly Uint8Array[], position: number): void;
  /** Fills `into` until the end of the file; returns the number of bytes read. */
  read(file: number, into: Uint8Array, position: number): number;
  truncate(file: number, length: number): void;
  /** Writes a file's content to stable storage. */
  sync(file: number): void;
  /** Like `sync`, for a file by its path. */
  syncPath(path: string): void;
  close(file: number): void;
  rename(from: string, to: string): void;
  /** Makes a folder, durably; does nothing if it exists. */
  makeFolder(path: string): void;
  /** Removes a file; does nothing if it does not exist. */
  remove(path: string): void;
  /** Makes new names, renames and removals in a folder durable. */
  syncFolder(path: string): void;
  /** Returns the space on a path's file system; undefined if it is unknown, as on some network file systems. */
  space(path: string): DiskSpace | undefined;
  /** Returns the names in a folder. */
  names(path: string): readonly string[];
  /** Returns the length of a file in bytes; undefined if it does not exist. */
  size(path: string): number | undefined;
}

/** Maximum number of buffers in one call of writev on Linux. */
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

/** Writes all buffers, even if the kernel takes only a part at a time; returns the number of bytes. */
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

/** Returns the buffers without their first `count` bytes. */
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

/** Returns the same disk with every sync as a no-op. */
export function withoutSync(disk: BlockingDisk): BlockingDisk {
  return { ...disk, sync: () => {}, syncPath: () => {}, syncFolder: () => {} };
}
