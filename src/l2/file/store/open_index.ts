import { rmSync } from "node:fs";
import { DatabaseSync } from "node:sqlite";
import { VitrineError } from "../../../core/errors.ts";
import { ObjectIndex } from "./index.ts";
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

/** Raised when the tables change; an index of another version is thrown away and built again from the segments. */
export const SCHEMA_VERSION = 5;

/**
 * The index's tables. Keys are blobs, so that SQLite orders them by bytes. Ids grow with the log, so their order is
 * that of the records. `segment`, `offset` and `bytes` say where an object's record lies; `name` and `file_bytes` name
 * the file that holds its bytes, if the record does not. `late` is 1 if an object before it in the log is younger. A
 * row of `segments` says how far into a segment the index has got, and which id its first record had; one of `clears`
 * which entries a clear is about to remove that has begun (without a tenant: those of all). `totals` has a row only
 * after a clean end.
 */
export const SCHEMA: string = `
BEGIN;
CREATE TABLE objects (
  id INTEGER PRIMARY KEY,
  tenant TEXT NOT NULL,
  key BLOB NOT NULL,
  segment INTEGER NOT NULL,
  offset INTEGER NOT NULL,
  bytes INTEGER NOT NULL,
  name TEXT NOT NULL,
  file_bytes INTEGER NOT NULL,
  created_ms REAL NOT NULL,
  expires_ms REAL NOT NULL,
  late INTEGER NOT NULL,
  meta TEXT NOT NULL
);
CREATE UNIQUE INDEX objects_by_key ON objects (tenant, key);
CREATE UNIQUE INDEX objects_by_name ON objects (name) WHERE name <> '';
CREATE INDEX objects_by_creation ON objects (created_ms) WHERE late = 1;
CREATE INDEX objects_by_expiry ON objects (expires_ms) WHERE expires_ms > 0;
CREATE TABLE segments (id INTEGER PRIMARY KEY, nonce TEXT NOT NULL, bytes INTEGER NOT NULL, first_id INTEGER NOT NULL, live_bytes INTEGER NOT NULL);
CREATE TABLE totals (objects INTEGER NOT NULL, file_bytes INTEGER NOT NULL);
CREATE TABLE clears (tenant TEXT, last_id INTEGER NOT NULL);
PRAGMA user_version = ${SCHEMA_VERSION};
COMMIT;
`;
