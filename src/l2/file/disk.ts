import { close, fsync, open, read, write } from "node:fs";
import { rename, statfs, unlink } from "node:fs/promises";

/** An open file, read and written at explicit positions. */
export interface DiskFile {
  /** Writes all of `bytes`, which may lie over shared memory. */
  write(bytes: Uint8Array, position: number): Promise<void>;
  /** Fills `into` as far as the file goes; returns how many bytes there were. */
  read(into: Uint8Array, position: number): Promise<number>;
  /** Waits until the content is on stable storage. */
  sync(): Promise<void>;
  close(): Promise<void>;
}

/** How much a file system holds. */
export interface DiskSpace {
  readonly capacityBytes: number;
  /** What an ordinary user may still write. */
  readonly freeBytes: number;
}

/** The file system as the adapter uses it; tests put a failing one in its place. Errors are those of node:fs. */
export interface Disk {
  /** A new file for writing; it must not exist. */
  create(path: string): Promise<DiskFile>;
  /** An existing file for reading; undefined if there is none. */
  open(path: string): Promise<DiskFile | undefined>;
  rename(from: string, to: string): Promise<void>;
  /** Removes a file; no error if there is none. */
  remove(path: string): Promise<void>;
  /** Makes renames and removals in a folder durable. */
  syncFolder(path: string): Promise<void>;
  /** How full the file system is that a path lies on; undefined if it does not say. */
  space(path: string): Promise<DiskSpace | undefined>;
}

/** The real file system. `sync: false` turns every fsync into nothing: faster, survives kill -9 but not power loss. */
export function openDisk(options: { readonly sync: boolean }): Disk {
  return {
    create: async (path) => wrap(await openFile(path, "wx"), options.sync),
    async open(path) {
      const descriptor = await unlessMissing(openFile(path, "r"));
      return descriptor === undefined ? undefined : wrap(descriptor, options.sync);
    },
    rename,
    async remove(path) {
      await unlessMissing(unlink(path));
    },
    async syncFolder(path) {
      if (!options.sync) return;
      const folder = wrap(await openFile(path, "r"), true);
      try {
        await folder.sync();
      } finally {
        await folder.close();
      }
    },
    space: diskSpace,
  };
}

/** How full the file system is that a path lies on; undefined if it does not say, as some network file systems do not. */
export async function diskSpace(path: string): Promise<DiskSpace | undefined> {
  try {
    const { blocks, bavail, bsize } = await statfs(path);
    return blocks === 0 ? undefined : { capacityBytes: blocks * bsize, freeBytes: bavail * bsize };
  } catch {
    return undefined;
  }
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
 * Descriptors, not FileHandles: Bun throws an uncatchable error when a FileHandle that somebody forgot is collected.
 * A forgotten file (a load that nobody iterates) is closed quietly instead.
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

/** A callback of node:fs as a promise. */
function call<T>(start: (back: (error: Error | null | undefined, result: T) => void) => void): Promise<T> {
  return new Promise((resolve, reject) => {
    start((error, result) => error === null || error === undefined ? resolve(result) : reject(error));
  });
}
