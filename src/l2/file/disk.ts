import {
  close,
  closeSync,
  fdatasyncSync,
  fsync,
  ftruncateSync,
  open,
  openSync,
  read,
  readdirSync,
  readSync,
  renameSync,
  statfsSync,
  statSync,
  unlinkSync,
  write,
  writevSync,
} from "node:fs";
import { unlink } from "node:fs/promises";
import { makeFolder, syncPath } from "./layout.ts";

/** An open file, read and written at explicit positions. */
export interface DiskFile {
  /** Writes all of `bytes`, which may be in shared memory. */
  write(bytes: Uint8Array, position: number): Promise<void>;
  /** Fills `into` until the end of the file; returns the number of bytes read. */
  read(into: Uint8Array, position: number): Promise<number>;
  /** Waits until the content is on stable storage. */
  sync(): Promise<void>;
  close(): Promise<void>;
}

/** The file system as the adapter uses it; tests substitute one that fails. Errors are those of node:fs. */
export interface Disk {
  /** Creates a file for writing; it must not exist. */
  create(path: string): Promise<DiskFile>;
  /** Opens a file for reading; undefined if it does not exist. */
  open(path: string): Promise<DiskFile | undefined>;
  /** Removes a file; does nothing if it does not exist. */
  remove(path: string): Promise<void>;
}

/** The real file system. `sync: false` makes every fsync a no-op: faster, survives kill -9 but not power loss. */
export function openDisk(options: { readonly sync: boolean }): Disk {
  return {
    create: async (path) => wrap(await openFile(path, "wx"), options.sync),
    async open(path) {
      const descriptor = await unlessMissing(openFile(path, "r"));
      return descriptor === undefined ? undefined : wrap(descriptor, options.sync);
    },
    async remove(path) {
      await unlessMissing(unlink(path));
    },
  };
}

/** The `code` of a node:fs error ("ENOSPC" …), or "". */
export function errorCode(error: unknown): string {
  return error instanceof Error && "code" in error ? String(error.code) : "";
}

function openFile(path: string, flags: "r" | "wx"): Promise<number> {
  return call<number>((back) => open(path, flags, back));
}

async function unlessMissing<T>(call: Promise<T>): Promise<T | undefined> {
  try {
    return await call;
  } catch (error) {
    if (errorCode(error) === "ENOENT") return undefined;
    throw error;
  }
}

/**
 * Closes files that were dropped without being closed (a load that is never iterated). They are descriptors, not
 * FileHandles, because Bun throws an uncatchable error when an open FileHandle is garbage-collected.
 */
const forgotten = new FinalizationRegistry<number>((descriptor) => close(descriptor));

function wrap(descriptor: number, sync: boolean): DiskFile {
  const file: DiskFile = {
    async write(bytes, position) {
      let done = 0;
      while (done < bytes.length) {
        done += await call<number>((back) =>
          write(descriptor, bytes, done, bytes.length - done, position + done, back)
        );
      }
    },
    async read(into, position) {
      let done = 0;
      while (done < into.length) {
        const count = await call<number>((back) =>
          read(descriptor, into, done, into.length - done, position + done, back)
        );
        if (count === 0) break;
        done += count;
      }
      return done;
    },
    async sync() {
      if (sync) await call<void>((back) => fsync(descriptor, back));
    },
    async close() {
      forgotten.unregister(file);
      await call<void>((back) => close(descriptor, back));
    },
  };
  forgotten.register(file, descriptor, file);
  return file;
}

/** Converts a callback of node:fs to a promise. */
function call<T>(start: (back: (error: Error | null | undefined, result: T) => void) => void): Promise<T> {
  return new Promise((resolve, reject) => {
    start((error, result) => error === null || error === undefined ? resolve(result) : reject(error));
  });
}

/**
 * The kind of an error of SQLite or of the file system, as far as recovery depends on it. SQLite's errors have only
 * their messages in common on both runtimes.
 */
export type Fault = "busy" | "full" | "broken" | "damaged" | "other";

const SQLITE_WORDS: readonly (readonly [string, Fault])[] = [
  ["database is locked", "busy"],
  ["database table is locked", "busy"],
  ["database schema is locked", "busy"],
  ["locking protocol", "busy"],
  ["database or disk is full", "full"],
  ["disk I/O error", "broken"],
  ["unable to open database file", "broken"],
  ["database disk image is malformed", "damaged"],
  ["malformed database schema", "damaged"],
  ["file is not a database", "damaged"],
  ["no such", "damaged"],
  ["syntax error", "damaged"],
  // No row that is written contradicts one that is intact.
  ["constraint failed", "damaged"],
  ["datatype mismatch", "damaged"],
];

/** An index whose content is not as it was written, as far as SQLite does not notice it. */
export class IndexDamage extends Error {
  override readonly name = "IndexDamage";
}

/**
 * Classifies an error: `busy` passes by itself, `full` needs room, `broken` needs a new connection to the database,
 * `damaged` a new database.
 */
export function faultOf(error: unknown): Fault {
  if (error instanceof IndexDamage) return "damaged";
  const code = errorCode(error);
  if (code === "ENOSPC" || code === "EDQUOT") return "full";
  if (code !== "ERR_SQLITE_ERROR" || !(error instanceof Error)) return "other";
  const { message } = error;
  return SQLITE_WORDS.find(([words]) => message.includes(words))?.[1] ?? "other";
}

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
  open: (path) => unlessMissingSync(() => openSync(path, "r")),
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
  remove: (path) => unlessMissingSync(() => unlinkSync(path)),
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
  size: (path) => unlessMissingSync(() => statSync(path).size),
};

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

function unlessMissingSync<T>(call: () => T): T | undefined {
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
