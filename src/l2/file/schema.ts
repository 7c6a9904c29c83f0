/** Raised when the tables or the format of the files change; an index of another version is thrown away and built again from the files. */
export const SCHEMA_VERSION = 4;

/** The index's tables. Keys are blobs, so that SQLite orders them by bytes; triggers keep the totals exact whatever changes the rows.
 * Ids are never used twice, so that what is cleared is known by them: all ids up to totals.cleared_id, and those of one tenant up to cleared.up_to. */
export const SCHEMA: string = `
BEGIN;
CREATE TABLE objects (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  tenant TEXT NOT NULL,
  key BLOB NOT NULL,
  name TEXT NOT NULL,
  file_bytes INTEGER NOT NULL,
  size INTEGER NOT NULL,
  crc32 INTEGER NOT NULL,
  version INTEGER NOT NULL,
  created_ms REAL NOT NULL,
  expires_ms REAL NOT NULL,
  content_type TEXT NOT NULL,
  sha256 TEXT NOT NULL,
  headers TEXT NOT NULL,
  used_ms REAL NOT NULL
);
CREATE UNIQUE INDEX objects_by_key ON objects (tenant, key);
CREATE UNIQUE INDEX objects_by_name ON objects (name);
CREATE INDEX objects_by_use ON objects (used_ms);
CREATE INDEX objects_by_creation ON objects (created_ms);
CREATE INDEX objects_by_expiry ON objects (expires_ms) WHERE expires_ms > 0;
CREATE TABLE cleared (tenant TEXT PRIMARY KEY, up_to INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE totals (objects INTEGER NOT NULL, bytes INTEGER NOT NULL, reserved INTEGER NOT NULL, cleared_id INTEGER NOT NULL);
INSERT INTO totals VALUES (0, 0, 0, 0);
CREATE TRIGGER object_added AFTER INSERT ON objects BEGIN
  UPDATE totals SET objects = objects + 1, bytes = bytes + new.file_bytes;
END;
CREATE TRIGGER object_removed AFTER DELETE ON objects BEGIN
  UPDATE totals SET objects = objects - 1, bytes = bytes - old.file_bytes;
END;
PRAGMA user_version = ${SCHEMA_VERSION};
COMMIT;
`;
