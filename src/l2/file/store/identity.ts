import { accessSync, closeSync, constants, existsSync, openSync, statSync, truncateSync } from "node:fs";
import { VitrineError } from "../../../core/errors.ts";
import { errorCode, faultOf } from "../disk.ts";
import type { Layout } from "../layout.ts";
import { DatabaseSync } from "node:sqlite";

/**
 * Remembers which index and lock an adapter has opened, and detects that they were removed, replaced, unmounted or
 * restored from outside.
 */
export class Identity {
  readonly #layout: Layout;
  readonly #index: string | undefined;
  readonly #lock: string | undefined;

  constructor(layout: Layout) {
    this.#layout = layout;
    this.#index = identityOf(layout.indexPath);
    this.#lock = identityOf(layout.lockPath);
  }

  /** Returns what has happened to the folder; undefined if it is unchanged. */
  change(): string | undefined {
    return this.indexChange() ?? changeOf(this.#layout.lockPath, this.#lock);
  }

  /** Like `change`, but with a single stat, for use in every commit. */
  indexChange(): string | undefined {
    return changeOf(this.#layout.indexPath, this.#index);
  }

  /** Throws tier_failed if the index was removed or replaced, because nothing written to it would be found again. */
  assertSame(): void {
    const change = this.indexChange();
    if (change !== undefined) throw new VitrineError("tier_failed", `write to folder: ${change}`);
  }
}

/** Returns the reason why the folder is not writable (a read-only file system, or permissions); undefined if it is. */
export function writeProtection(layout: Layout): string | undefined {
  try {
    accessSync(layout.root, constants.R_OK | constants.W_OK | constants.X_OK);
    // Deno's `access` checks permissions only. No SQLite file may be opened here: closing any descriptor of a file
    // drops all POSIX locks that the process has on it.
    closeSync(openSync(layout.reservePath, "r+"));
    return undefined;
  } catch (error) {
    // The reserve is removed on a full disk.
    if (errorCode(error) === "ENOENT" && existsSync(layout.root)) return undefined;
    return `${layout.root} cannot be written: ${errorCode(error)}`;
  }
}

function changeOf(path: string, before: string | undefined): string | undefined {
  const now = identityOf(path);
  if (now === before) return undefined;
  return now === undefined ? `${path} has gone` : `${path} was replaced`;
}

function identityOf(path: string): string | undefined {
  try {
    const { dev, ino } = statSync(path);
    return `${dev}:${ino}`;
  } catch {
    return undefined;
  }
}

/**
 * Keeps a second process out of a folder, with SQLite's exclusive lock on a tiny database. The kernel drops the lock
 * when the process dies, so there are no stale lock files, and no guesses about whether a pid is alive or was reused.
 */
export class FolderLock {
  readonly #db: DatabaseSync;

  /** Takes the lock. Throws tier_failed if another process has it. */
  constructor(path: string) {
    try {
      this.#db = takeLock(path);
    } catch (error) {
      if (!["broken", "damaged"].includes(faultOf(error)) || !existsSync(path)) throw failure(path, error);
      // The file is truncated, not removed: a process that has it open keeps its lock on the same file.
      truncateSync(path);
      this.#db = takeLock(path);
    }
  }

  /** Releases the lock. Never throws: closing drops the lock even if it reports an error. */
  release(): void {
    try {
      this.#db.close();
    } catch {
      // It was already closed.
    }
  }
}

/**
 * The journal is in memory, so that the lock can be taken on a full disk. It waits a second for the lock: on Deno a
 * thread that was terminated keeps its own for a moment after its end was reported.
 */
function takeLock(path: string): DatabaseSync {
  const db = new DatabaseSync(path);
  try {
    db.exec("PRAGMA busy_timeout = 1000; PRAGMA journal_mode = MEMORY");
    db.exec("BEGIN EXCLUSIVE");
    return db;
  } catch (error) {
    db.close();
    throw error;
  }
}

function failure(path: string, cause: unknown): unknown {
  if (faultOf(cause) !== "busy") return cause;
  return new VitrineError("tier_failed", `open tier: the folder of ${path} is in use by another process`, { cause });
}
