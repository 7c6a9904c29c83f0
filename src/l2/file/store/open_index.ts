import { accessSync, constants, rmSync } from "node:fs";
import { DatabaseSync } from "node:sqlite";
import { VitrineError } from "../../../core/errors.ts";
import { faultOf, IndexDamage } from "../disk.ts";
import { ObjectIndex } from "./index.ts";
/** Size of the page cache: enough for the inner nodes of a million objects, whose keys arrive in random order. */
const CACHE_KIB = 32 * 1024;
/** Matches the messages about a file that is no index, or not one of this version. */
const UNUSABLE = /schema version|file format|unable to open/;

/**
 * Opens the index of the last run. If there is none of this version, creates an empty one, to be filled from the
 * segments. Throws tier_failed, and SQLite's error or IndexDamage if the index is damaged.
 */
export function openIndex(path: string, { sync }: { readonly sync: boolean }): ObjectIndex {
  try {
    return withDatabase(path, (db) => {
      setUp(db, sync);
      assertSound(db, sync);
      assertWritable(db, path);
      return new ObjectIndex(db);
    });
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    if (faultOf(cause) === "damaged") throw cause;
    if (!UNUSABLE.test(why)) throw new VitrineError("tier_failed", `open tier: ${path}: ${why}`, { cause });
  }
  removeIndex(path);
  return withDatabase(path, (db) => {
    setUp(db, sync);
    db.exec(SCHEMA);
    return new ObjectIndex(db);
  });
}

/** Removes the index and anything else in its place. */
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
  // Another process may be reading the file now; once locked, none can.
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
  const tables = db.prepare("SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL").all();
  if (tables.length !== TABLES || !tables.every(({ sql }) => SCHEMA.includes(String(sql)))) {
    throw new IndexDamage("open index: its tables are not as they were made");
  }
  // Without syncs a power loss may have corrupted it.
  if (!sync && db.prepare("PRAGMA quick_check(1)").get()?.["quick_check"] !== "ok") {
    throw new IndexDamage("open index: malformed");
  }
}

/** Throws IndexDamage if the header of a file that can be written says that it cannot. */
function assertWritable(db: DatabaseSync, path: string): void {
  try {
    db.exec("DELETE FROM clears WHERE 0");
  } catch (cause) {
    if (!(cause instanceof Error) || !cause.message.includes("readonly database")) throw cause;
    accessSync(path, constants.W_OK);
    throw new IndexDamage("open index: its header makes it read-only", { cause });
  }
}

/** Incremented when the tables change. An index with another version is discarded and rebuilt from the segments. */
const SCHEMA_VERSION = 6;

/**
 * The index's tables. Keys are blobs, so that SQLite orders them by bytes. Ids grow with the log, so their order is
 * that of the records. `segment`, `offset` and `bytes` are the place of an object's record; `name` and `file_bytes`
 * describe the file with its bytes, if they are not in the record. `late` is 1 if an earlier object in the log is
 * younger. `sum` is a checksum of what else is in a row (index_rows.ts). A row of `segments` has the number of bytes
 * read of a segment, and the id of its first record. A row of `clears` has the entries that a running clear is removing
 * (without a tenant: those of all tenants). `totals` has a row only after a clean stop.
 */
const SCHEMA = `
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
  meta TEXT NOT NULL,
  sum INTEGER NOT NULL
);
CREATE UNIQUE INDEX objects_by_key ON objects (tenant, key);
CREATE UNIQUE INDEX objects_by_name ON objects (name) WHERE name <> '';
CREATE INDEX objects_by_creation ON objects (created_ms) WHERE late = 1;
CREATE INDEX objects_by_expiry ON objects (expires_ms) WHERE expires_ms > 0;
CREATE TABLE segments (id INTEGER PRIMARY KEY, nonce TEXT NOT NULL, bytes INTEGER NOT NULL, sum INTEGER NOT NULL, first_id INTEGER NOT NULL, live_bytes INTEGER NOT NULL);
CREATE TABLE totals (objects INTEGER NOT NULL, file_bytes INTEGER NOT NULL);
CREATE TABLE clears (tenant TEXT, last_id INTEGER NOT NULL);
PRAGMA user_version = ${SCHEMA_VERSION};
COMMIT;
`;

/** Number of tables and indexes in the schema. */
const TABLES = SCHEMA.split("CREATE").length - 1;
