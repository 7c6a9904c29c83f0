/** Raised when the tables change; an index of another version is thrown away and built again from the files. */
export const SCHEMA_VERSION = 4;

/**
 * The index's tables. Keys are blobs, so that SQLite orders them by bytes. An object lies in a segment at an offset, or, with segment 0, in a file of its
 * own. Ids grow with every store and every use, so their order is that of eviction. A row of `segments` says how far into a segment the index has got; a row of `ends` is a tombstone or a clear that must outlive older segments.
 */
export const SCHEMA: string = `
BEGIN;
CREATE TABLE objects (
  id INTEGER PRIMARY KEY,
  tenant TEXT NOT NULL,
  key BLOB NOT NULL,
  segment INTEGER NOT NULL,
  offset INTEGER NOT NULL,
  name TEXT NOT NULL,
  bytes INTEGER NOT NULL,
  created_ms REAL NOT NULL,
  expires_ms REAL NOT NULL,
  meta TEXT NOT NULL
);
CREATE UNIQUE INDEX objects_by_key ON objects (tenant, key);
CREATE UNIQUE INDEX objects_by_name ON objects (name) WHERE segment = 0;
CREATE INDEX objects_by_segment ON objects (segment, bytes);
CREATE INDEX objects_by_creation ON objects (created_ms);
CREATE INDEX objects_by_expiry ON objects (expires_ms) WHERE expires_ms > 0;
CREATE TABLE segments (id INTEGER PRIMARY KEY, bytes INTEGER NOT NULL);
CREATE TABLE ends (id INTEGER PRIMARY KEY, segment INTEGER NOT NULL, kind TEXT NOT NULL, tenant TEXT NOT NULL, key BLOB NOT NULL);
CREATE INDEX ends_by_segment ON ends (segment);
PRAGMA user_version = ${SCHEMA_VERSION};
COMMIT;
`;
