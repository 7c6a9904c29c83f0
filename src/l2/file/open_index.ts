import { rmSync } from "node:fs";
import { DatabaseSync } from "node:sqlite";
import { VitrineError } from "../../core/errors.ts";
import { ObjectIndex } from "./index.ts";
import { SCHEMA, SCHEMA_VERSION } from "./schema.ts";

/** Pages kept in memory: enough for the inner nodes of a million objects, whose keys arrive in no order. */
const CACHE_KIB = 32 * 1024;
/** SQLite's words for a file that is no sound index. */
const UNSOUND = /not a database|malformed|schema version|no such table|file format|unable to open/;

/**
 * The last run's index, or an empty one, to be filled from the segments, if there is none that can be used. Throws
 * tier_failed.
 */
export function openIndex(path: string, { sync }: { readonly sync: boolean }): ObjectIndex {
  try {
    return withDatabase(path, (db) => {
      setUp(db, sync);
      assertSound(db, sync);
      return new ObjectIndex(db);
    });
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    if (!UNSOUND.test(why)) throw new VitrineError("tier_failed", `open tier: ${path}: ${why}`, { cause });
  }
  removeIndex(path);
  return withDatabase(path, (db) => {
    setUp(db, sync);
    db.exec(SCHEMA);
    return new ObjectIndex(db);
  });
}

/** Removes the index, whatever stands there. */
export function removeIndex(path: string): void {
  for (const suffix of ["", "-wal", "-shm", "-journal"]) rmSync(path + suffix, { force: true, recursive: true });
}

function withDatabase<T>(path: string, use: (db: DatabaseSync) => T): T {
  const db = new DatabaseSync(path);
  try {
    return use(db);
  } catch (error) {
    db.close();
    throw error;
  }
}

function setUp(db: DatabaseSync, sync: boolean): void {
  // Somebody may look into it at this moment; afterwards nobody can.
  db.exec("PRAGMA busy_timeout = 5000");
  db.exec("PRAGMA locking_mode = EXCLUSIVE");
  db.exec("PRAGMA journal_mode = WAL");
  db.exec(`PRAGMA synchronous = ${sync ? "NORMAL" : "OFF"}`);
  db.exec("PRAGMA wal_autocheckpoint = 4000");
  db.exec(`PRAGMA cache_size = -${CACHE_KIB}`);
}

function assertSound(db: DatabaseSync, sync: boolean): void {
  const version = Number(db.prepare("PRAGMA user_version").get()?.["user_version"]);
  if (version !== SCHEMA_VERSION) throw new Error(`open index: schema version ${version}`);
  // Without syncs a power loss may have torn it.
  if (!sync && db.prepare("PRAGMA quick_check(1)").get()?.["quick_check"] !== "ok") {
    throw new Error("open index: malformed");
  }
}
