import { DatabaseSync } from "node:sqlite";
import { VitrineError } from "../../core/errors.ts";

/**
 * Keeps a second process out of a folder, by SQLite's exclusive lock on a tiny database of its own. The kernel drops such a lock when its process dies,
 * so there is no stale lock file, and no guess whether a pid is alive or was reused.
 */
export class FolderLock {
  readonly #db: DatabaseSync;

  /** Throws tier_failed if another process has the folder. */
  constructor(path: string) {
    this.#db = new DatabaseSync(path);
    try {
      this.#db.exec("PRAGMA busy_timeout = 0");
      this.#db.exec("BEGIN EXCLUSIVE");
    } catch (cause) {
      this.#db.close();
      throw new VitrineError("tier_failed", `open tier: the folder of ${path} is in use by another process`, { cause });
    }
  }

  release(): void {
    this.#db.close();
  }
}
