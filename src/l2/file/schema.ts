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
