import { existsSync, truncateSync } from "node:fs";
import { DatabaseSync } from "node:sqlite";
import { VitrineError } from "../../core/errors.ts";
import { faultOf } from "./faults.ts";

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
