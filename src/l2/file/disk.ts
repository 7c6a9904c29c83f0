import { close, fsync, open, read, write } from "node:fs";
import { unlink } from "node:fs/promises";

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
export type Fault = "busy" | "full" | "broken" | "other";

const SQLITE_WORDS: readonly (readonly [string, Fault])[] = [
  ["database is locked", "busy"],
  ["database table is locked", "busy"],
  ["database schema is locked", "busy"],
  ["locking protocol", "busy"],
  ["database or disk is full", "full"],
  ["disk I/O error", "broken"],
  ["database disk image is malformed", "broken"],
  ["malformed database schema", "broken"],
  ["file is not a database", "broken"],
  ["unable to open database file", "broken"],
  ["no such table", "broken"],
];

/** Classifies an error: `busy` passes by itself, `full` needs room, `broken` needs a new connection to the index. */
export function faultOf(error: unknown): Fault {
  const code = errorCode(error);
  if (code === "ENOSPC" || code === "EDQUOT") return "full";
  if (code !== "ERR_SQLITE_ERROR" || !(error instanceof Error)) return "other";
  const { message } = error;
  return SQLITE_WORDS.find(([words]) => message.includes(words))?.[1] ?? "other";
}
