import { accessSync, closeSync, constants, existsSync, openSync, statSync, truncateSync } from "node:fs";
import { VitrineError } from "../../../core/errors.ts";
import { errorCode, faultOf } from "../disk.ts";
import type { Layout } from "../layout.ts";
import { DatabaseSync } from "node:sqlite";

/**
 * Remembers which index and lock an adapter has opened, and sees whether they are still those of the folder: others
 * remove, replace, unmount and restore it.
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

  /** What has happened to the folder, or undefined. */
  change(): string | undefined {
    return this.indexChange() ?? changeOf(this.#layout.lockPath, this.#lock);
  }

  /** Like `change`, at the cost of one stat: for each commit. */
  indexChange(): string | undefined {
    return changeOf(this.#layout.indexPath, this.#index);
  }

  /** Throws tier_failed if what would be noted in the index nobody would find again. */
  assertSame(): void {
    const change = this.indexChange();
    if (change !== undefined) throw new VitrineError("tier_failed", `write to folder: ${change}`);
  }
}

/** Why nothing can be written to the folder, or undefined: a read-only file system, or permissions. */
export function writeProtection(layout: Layout): string | undefined {
  try {
    accessSync(layout.root, constants.R_OK | constants.W_OK | constants.X_OK);
    // Deno's access looks at permissions only. No file of SQLite may be opened here: closing any descriptor of a file
    // drops all POSIX locks that the process has on it.
    closeSync(openSync(layout.reservePath, "r+"));
    return undefined;
  } catch (error) {
    // The reserve is given away on a full disk.
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
 * Keeps a second process out of a folder, by SQLite's exclusive lock on a tiny database of its own. The kernel drops
 * such a lock when its process dies, so there is no stale lock file, and no guess whether a pid is alive or was reused.
 */
export class FolderLock {
  readonly #db: DatabaseSync;

  /** Throws tier_failed if another process has the folder. */
  constructor(path: string) {
    try {
      this.#db = takeLock(path);
    } catch (error) {
      if (faultOf(error) !== "broken" || !existsSync(path)) throw failure(path, error);
      // Emptied, not removed: whoever has it open still holds the same locks.
      truncateSync(path);
      this.#db = takeLock(path);
    }
  }

  /** Lets go of the folder. Never throws: closing drops the lock, whatever else it says. */
  release(): void {
    try {
      this.#db.close();
    } catch {
      // It was closed before.
    }
  }
}

/** Its journal stays in memory, so that a lock can be taken on a full disk. */
function takeLock(path: string): DatabaseSync {
  const db = new DatabaseSync(path);
  try {
    db.exec("PRAGMA busy_timeout = 0; PRAGMA journal_mode = MEMORY");
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
