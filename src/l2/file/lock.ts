import { existsSync, readFileSync, truncateSync } from "node:fs";
import { hostname } from "node:os";
import { DatabaseSync } from "node:sqlite";
import { VitrineError } from "../../core/errors.ts";
import { faultOf } from "./faults.ts";

const WAIT_MS = 120_000;
const RETRY_MS = 20;

/**
 * Keeps two processes from using one folder, and lets any number of threads of one process share it.
 * It is a tiny SQLite database: whoever uses the folder holds SQLite's shared lock on it, whoever recovers the folder the exclusive one.
 * The kernel drops such locks when a process dies, so there is no stale lock file, and no guess whether a pid is alive or was reused.
 */
export class FolderLock {
  /** True if nobody else was using the folder: the caller has it to itself until `share`. */
  readonly alone: boolean;
  readonly #db: DatabaseSync;

  private constructor(db: DatabaseSync, alone: boolean) {
    this.#db = db;
    this.alone = alone;
  }

  /** Waits while another thread of this process recovers the folder. Throws tier_failed if another process has it. */
  static async acquire(path: string): Promise<FolderLock> {
    const db = openLock(path);
    try {
      const deadlineMs = performance.now() + WAIT_MS;
      for (;;) {
        if (tryExec(db, "BEGIN EXCLUSIVE")) {
          db.exec("CREATE TABLE IF NOT EXISTS owner (id INTEGER PRIMARY KEY CHECK (id = 1), token TEXT NOT NULL)");
          db.prepare("INSERT OR REPLACE INTO owner VALUES (1, ?)").run(ownToken());
          return new FolderLock(db, true);
        }
        const owner = tryShare(db);
        if (owner === ownToken()) return new FolderLock(db, false);
        if (owner !== undefined) throw inUse(path, owner);
        if (performance.now() > deadlineMs) throw inUse(path, "unknown");
        await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
      }
    } catch (error) {
      db.close();
      throw error;
    }
  }

  /** Lets other threads of this process in. Only after `alone`. Throws tier_failed if another process was faster. */
  async share(): Promise<void> {
    this.#db.exec("COMMIT");
    for (;;) {
      const owner = tryShare(this.#db);
      if (owner === ownToken()) return;
      if (owner !== undefined) throw inUse(this.#db.location() ?? "", owner);
      await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
    }
  }

  /** Lets go of the folder, running `ifLast` first if nobody else uses it. */
  release(ifLast: () => void): void {
    try {
      if (this.#db.isTransaction) this.#db.exec("ROLLBACK");
      if (tryExec(this.#db, "BEGIN EXCLUSIVE")) ifLast();
    } finally {
      this.#db.close();
    }
  }

  /** Lets go of a folder that is not what it was, or of a lock that was taken in vain. Never throws: closing drops the lock, whatever else it says. */
  abandon(): void {
    try {
      this.#db.close();
    } catch {
      // It was closed before.
    }
  }
}

/** Its journal stays in memory, so that a lock can be taken on a full disk. */
function openLock(path: string): DatabaseSync {
  const open = (): DatabaseSync => {
    const db = new DatabaseSync(path);
    try {
      db.exec("PRAGMA busy_timeout = 0; PRAGMA journal_mode = MEMORY");
      db.prepare("SELECT count(*) FROM sqlite_master").get();
      return db;
    } catch (error) {
      if (isBusy(error)) return db;
      db.close();
      throw error;
    }
  };
  try {
    return open();
  } catch (error) {
    if (faultOf(error) !== "broken" || !existsSync(path)) throw error;
    // Emptied, not removed: whoever has it open still holds the same locks.
    truncateSync(path);
    return open();
  }
}

function inUse(path: string, owner: string): VitrineError {
  return new VitrineError(
    "tier_failed",
    `Locking ${path}: the folder is in use by another process (host:pid:start ${owner})`,
  );
}

/** Tells processes apart, also where pid namespaces repeat pids: host name, pid and start time. */
function ownToken(): string {
  let start = "";
  try {
    const stat = readFileSync("/proc/self/stat", "utf8");
    start = stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19] ?? "";
  } catch {
    // Not Linux: host and pid have to do.
  }
  return `${hostname()}:${process.pid}:${start}`;
}

/**
 * The owner's token while holding the shared lock, or undefined if somebody holds the exclusive one, or nobody has written a token yet: two threads
 * that open a new folder at the same moment can both miss the exclusive lock.
 */
function tryShare(db: DatabaseSync): string | undefined {
  db.exec("BEGIN");
  try {
    const token = db.prepare("SELECT token FROM owner").get()?.["token"];
    if (token !== undefined) return String(token);
    db.exec("ROLLBACK");
    return undefined;
  } catch (error) {
    if (db.isTransaction) db.exec("ROLLBACK");
    if (isBusy(error) || isNew(error)) return undefined;
    throw error;
  }
}

function tryExec(db: DatabaseSync, sql: string): boolean {
  try {
    db.exec(sql);
    return true;
  } catch (error) {
    if (isBusy(error)) return false;
    throw error;
  }
}

function isNew(error: unknown): boolean {
  return error instanceof Error && error.message.includes("no such table");
}

function isBusy(error: unknown): boolean {
  return error instanceof Error && error.message.includes("locked");
}
