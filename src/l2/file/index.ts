import { rmSync } from "node:fs";
import { DatabaseSync, type StatementSync } from "node:sqlite";
import type { ObjectKey } from "../../core/key.ts";
import type { ListPage, ListQuery } from "../adapter.ts";
import { parseMeta } from "./format.ts";
import type { IndexEntry, IndexRow, RecordPlace } from "./place.ts";
import { SCHEMA, SCHEMA_VERSION } from "./schema.ts";

/** Totals over all objects. */
export interface IndexTotals {
  readonly objects: number;
  /** Bytes of the objects that lie in files of their own. */
  readonly fileBytes: number;
}

const COLUMNS = "id, tenant, key, segment, offset, bytes, name, file_bytes, meta";
/** Pages kept in memory: enough for the inner nodes of a million objects, whose keys arrive in no order. */
const CACHE_KIB = 32 * 1024;

/**
 * The index of a folder, in SQLite: where every object lies, so that lookups, listings and totals touch no object. Blocking, and for one thread: while it
 * is open nobody else can lock the database. It is never ahead of what the segments hold, and never loses its own consistency in a power loss
 * (WAL with synchronous=NORMAL); what it has not seen it is told at the next start.
 */
export class ObjectIndex {
  readonly #db: DatabaseSync;
  readonly #find: StatementSync;
  readonly #insert: StatementSync;
  readonly #deleteKey: StatementSync;
  readonly #deleteId: StatementSync;
  readonly #oldest: StatementSync;
  readonly #move: StatementSync;
  readonly #segment: StatementSync;
  /** Entries that were loaded since their record was written. */
  readonly #used = new Set<number>();
  #objects = 0;
  #fileBytes = 0;
  #lastId = 0;

  private constructor(db: DatabaseSync) {
    this.#db = db;
    this.#find = db.prepare(`SELECT ${COLUMNS} FROM objects WHERE tenant = ? AND key = ?`);
    this.#lastId = Number(db.prepare("SELECT max(id) AS id FROM objects").get()?.["id"] ?? 0);
    this.#insert = db.prepare(
      "INSERT INTO objects (id, tenant, key, segment, offset, bytes, name, file_bytes, created_ms, expires_ms, meta) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
    );
    this.#deleteKey = db.prepare(`DELETE FROM objects WHERE tenant = ? AND key = ? RETURNING ${COLUMNS}`);
    this.#deleteId = db.prepare("DELETE FROM objects WHERE id = ? AND segment = ? AND offset = ?");
    this.#oldest = db.prepare("SELECT min(created_ms) AS oldest FROM objects");
    this.#move = db.prepare("UPDATE objects SET segment = ?, offset = ? WHERE id = ?");
    this.#segment = db.prepare("INSERT OR REPLACE INTO segments (id, nonce, bytes) VALUES (?, ?, ?)");
    const totals = db.prepare(
      "SELECT count(*) AS objects, coalesce(sum(file_bytes), 0) AS file_bytes FROM objects",
    ).get();
    this.#objects = Number(totals?.["objects"]);
    this.#fileBytes = Number(totals?.["file_bytes"]);
  }

  /** Opens what is there. Throws if it is not a sound index of this schema, or if somebody else has it. */
  static open(path: string, { sync }: { readonly sync: boolean }): ObjectIndex {
    const db = new DatabaseSync(path);
    try {
      setUp(db, sync);
      const version = Number(db.prepare("PRAGMA user_version").get()?.["user_version"]);
      if (version !== SCHEMA_VERSION) throw new Error(`open index: schema version ${version}`);
      // Without syncs a power loss may have torn it.
      if (!sync && db.prepare("PRAGMA quick_check(1)").get()?.["quick_check"] !== "ok") {
        throw new Error("open index: malformed");
      }
      return new ObjectIndex(db);
    } catch (error) {
      db.close();
      throw error;
    }
  }

  /** Removes what is there and makes an empty index. */
  static create(path: string, { sync }: { readonly sync: boolean }): ObjectIndex {
    for (const suffix of ["", "-wal", "-shm", "-journal"]) rmSync(path + suffix, { force: true, recursive: true });
    const db = new DatabaseSync(path);
    try {
      setUp(db, sync);
      db.exec(SCHEMA);
      return new ObjectIndex(db);
    } catch (error) {
      db.close();
      throw error;
    }
  }

  /** The entry of a key, expired or not. */
  find(key: ObjectKey): IndexRow | undefined {
    const row = this.#find.get(key.tenant, encode(key.key));
    return row === undefined ? undefined : parseRow(row);
  }

  /** Puts an entry in the place of whatever the key had, which is returned. */
  put(entry: IndexEntry): IndexRow | undefined {
    const { key, meta, record, file } = entry;
    const name = encode(key.key);
    const old = this.#deleteKey.get(key.tenant, name);
    const replaced = old === undefined ? undefined : parseRow(old);
    if (replaced !== undefined) this.#forget(replaced);
    this.#lastId += 1;
    this.#insert.run(
      this.#lastId,
      key.tenant,
      name,
      record.segment,
      record.offset,
      record.bytes,
      file?.name ?? "",
      file?.bytes ?? 0,
      meta.createdMs,
      meta.expiresMs,
      JSON.stringify(meta),
    );
    this.#objects += 1;
    this.#fileBytes += file?.bytes ?? 0;
    return replaced;
  }

  /** Removes exactly this entry, not a newer one of its key; false if it was gone. The place is part of the question because free ids are given out again after a restart. */
  remove(row: IndexRow): boolean {
    const removed = Number(this.#deleteId.run(row.id, row.record.segment, row.record.offset).changes) > 0;
    if (removed) this.#forget(row);
    return removed;
  }

  /** Removes whatever a key has. */
  removeKey(key: ObjectKey): IndexRow | undefined {
    const old = this.#deleteKey.get(key.tenant, encode(key.key));
    const removed = old === undefined ? undefined : parseRow(old);
    if (removed !== undefined) this.#forget(removed);
    return removed;
  }

  /** The record lies somewhere else now, and has not been used there. */
  move(row: IndexRow, to: Pick<RecordPlace, "segment" | "offset">): void {
    this.#move.run(to.segment, to.offset, row.id);
    this.#used.delete(row.id);
  }

  /** Up to `limit` entries, those whose records are the oldest first. */
  oldest(limit: number): readonly IndexRow[] {
    return this.#db.prepare(`SELECT ${COLUMNS} FROM objects ORDER BY segment, offset LIMIT ?`).all(limit).map(parseRow);
  }

  /** Notes a use, for eviction. */
  use(row: IndexRow): void {
    this.#used.add(row.id);
  }

  /** Whether an entry was used since its record was written. Forgotten when the index is closed. */
  isUsed(row: IndexRow): boolean {
    return this.#used.has(row.id);
  }

  /** Up to `limit` entries whose time was up at `nowMs`. */
  expired(nowMs: number, limit: number): readonly IndexRow[] {
    return this.#db.prepare(
      `SELECT ${COLUMNS} FROM objects WHERE expires_ms > 0 AND expires_ms <= ? ORDER BY expires_ms LIMIT ?`,
    ).all(nowMs, limit).map(parseRow);
  }

  /** Up to `limit` entries, of one tenant or of all, with an id above `after` and up to `last`, in the order of their ids. */
  entries(
    tenant: string | undefined,
    { after, last, limit }: { readonly after: number; readonly last: number; readonly limit: number },
  ): readonly IndexRow[] {
    const where = tenant === undefined ? "?1 = ''" : "tenant = ?1";
    return this.#db.prepare(
      `SELECT ${COLUMNS} FROM objects WHERE ${where} AND id > ?2 AND id <= ?3 ORDER BY id LIMIT ?4`,
    ).all(tenant ?? "", after, last, limit).map(parseRow);
  }

  /** All entries that lie in a segment. */
  inSegment(id: number): readonly IndexRow[] {
    return this.#db.prepare(`SELECT ${COLUMNS} FROM objects WHERE segment = ? ORDER BY offset`).all(id).map(parseRow);
  }

  /** Bytes by segment of the records that the index refers to. */
  liveBytes(): ReadonlyMap<number, number> {
    const rows = this.#db.prepare("SELECT segment, sum(bytes) AS bytes FROM objects GROUP BY segment").all();
    return new Map(rows.map((row) => [Number(row["segment"]), Number(row["bytes"])]));
  }

  /** One page of unexpired entries in the byte order of their keys, without those up to an id that are out of sight. */
  list(query: ListQuery, { nowMs, hiddenUpTo }: { readonly nowMs: number; readonly hiddenUpTo: number }): ListPage {
    const prefix = encode(query.prefix);
    const end = successor(prefix);
    const rows = this.#db.prepare(
      `SELECT ${COLUMNS} FROM objects WHERE tenant = ?1 AND key >= ?2 AND key > ?3 AND (expires_ms = 0 OR expires_ms > ?4)` +
        `${end === undefined ? " AND ?5 = ?5" : " AND key < ?5"} AND id > ?6 ORDER BY key LIMIT ?7`,
    ).all(query.tenant, prefix, encode(query.after), nowMs, end ?? prefix, hiddenUpTo, query.limit + 1).map(parseRow);
    return {
      entries: rows.slice(0, query.limit).map(({ key, meta }) => ({ key: key.key, meta })),
      more: rows.length > query.limit,
    };
  }

  /** Kept up to date with every change: costs nothing to ask for. */
  get totals(): IndexTotals {
    return { objects: this.#objects, fileBytes: this.#fileBytes };
  }

  /** When the oldest object was made, in milliseconds since the epoch; undefined if there is none. One look into an index. */
  oldestMs(): number | undefined {
    const oldest = this.#oldest.get()?.["oldest"];
    return typeof oldest === "number" ? oldest : undefined;
  }

  /** The file names in one folder ("00" to "ff") with their entries' ids. */
  names(folder: string): Map<string, number> {
    const rows = this.#db.prepare("SELECT name, id FROM objects WHERE name <> '' AND name >= ? AND name < ?").all(
      folder,
      `${folder}g`,
    );
    return new Map(rows.map((row) => [String(row["name"]), Number(row["id"])]));
  }

  /** Forgets an entry whose file is not there. */
  forgetFile(id: number): void {
    const row = this.#db.prepare(`DELETE FROM objects WHERE id = ? RETURNING ${COLUMNS}`).get(id);
    if (row !== undefined) this.#forget(parseRow(row));
  }

  /** The segments that the index knows, and how far it has read each. */
  segments(): ReadonlyMap<number, { readonly nonce: string; readonly bytes: number }> {
    const rows = this.#db.prepare("SELECT id, nonce, bytes FROM segments").all();
    return new Map(
      rows.map((row) => [Number(row["id"]), { nonce: String(row["nonce"]), bytes: Number(row["bytes"]) }]),
    );
  }

  /** Notes that everything in a segment up to `bytes` is in the index. */
  noteSegment(id: number, { nonce, bytes }: { readonly nonce: string; readonly bytes: number }): void {
    this.#segment.run(id, nonce, bytes);
  }

  /** Forgets a segment that is gone, with the entries that still lay in it; returns how many those were. */
  forgetSegment(id: number): number {
    const rows = this.inSegment(id);
    for (const row of rows) this.remove(row);
    this.#db.prepare("DELETE FROM segments WHERE id = ?").run(id);
    return rows.length;
  }

  /** Removes the entries whose records do not end within the first `bytes` of a segment; returns how many those were. */
  cutSegment(id: number, bytes: number): number {
    const rows = this.#db.prepare(`SELECT ${COLUMNS} FROM objects WHERE segment = ? AND offset + bytes > ?`)
      .all(id, bytes).map(parseRow);
    for (const row of rows) this.remove(row);
    return rows.length;
  }

  /** Removes everything that is known of one tenant's objects, or of all. */
  clear(tenant: string | undefined): void {
    this.#clear(tenant, this.#lastId);
  }

  /** Notes that a clear of what is there now has begun; returns the highest id that it is about. */
  beginClear(tenant: string | undefined): number {
    this.#db.prepare("INSERT INTO clears (tenant, last_id) VALUES (?, ?)").run(tenant ?? null, this.#lastId);
    return this.#lastId;
  }

  /** A clear has removed everything. */
  endClear(tenant: string | undefined, lastId: number): void {
    this.#db.prepare("DELETE FROM clears WHERE tenant IS ? AND last_id = ?").run(tenant ?? null, lastId);
  }

  /** Removes what the clears have left that a crash cut short; returns how many entries. */
  finishClears(): number {
    let removed = 0;
    for (const row of this.#db.prepare("SELECT tenant, last_id FROM clears").all()) {
      const tenant = typeof row["tenant"] === "string" ? row["tenant"] : undefined;
      removed += this.#clear(tenant, Number(row["last_id"]));
    }
    this.#db.exec("DELETE FROM clears");
    return removed;
  }

  /** Runs `work` as one transaction; a throw undoes it, and is what the caller sees whatever becomes of the clean-up. */
  transaction<T>(work: () => T): T {
    if (this.#db.isTransaction) return work();
    const before = this.totals;
    this.#db.exec("BEGIN IMMEDIATE");
    try {
      const result = work();
      this.#db.exec("COMMIT");
      return result;
    } catch (error) {
      this.#objects = before.objects;
      this.#fileBytes = before.fileBytes;
      // SQLite has ended the transaction itself after some errors, a full disk among them.
      if (this.#db.isTransaction) this.#db.exec("ROLLBACK");
      throw error;
    }
  }

  /** Brings everything written so far onto stable storage and into the main file. */
  sync(): void {
    this.#db.prepare("PRAGMA wal_checkpoint(TRUNCATE)").get();
  }

  close(): void {
    this.#db.close();
  }

  #clear(tenant: string | undefined, lastId: number): number {
    let removed = 0;
    for (let after = 0;;) {
      const rows = this.entries(tenant, { after, last: lastId, limit: 1024 });
      const last = rows.at(-1);
      if (last === undefined) return removed;
      for (const row of rows) this.remove(row);
      removed += rows.length;
      after = last.id;
    }
  }

  #forget({ id, file }: IndexRow): void {
    this.#objects -= 1;
    this.#fileBytes -= file?.bytes ?? 0;
    this.#used.delete(id);
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

const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { ignoreBOM: true });

function encode(text: string): Uint8Array {
  return encoder.encode(text);
}

/** A key's text; the column is a blob, or the row is not ours. */
function decode(bytes: unknown): string {
  if (!(bytes instanceof Uint8Array)) throw new Error(`read index: a key of type ${typeof bytes}`);
  return decoder.decode(bytes);
}

/** The first byte string after all that begin with `prefix`; undefined if there is none. UTF-8 has no 0xff, so the last byte can always go up. */
function successor(prefix: Uint8Array): Uint8Array | undefined {
  const end = prefix.slice();
  const last = end.at(-1);
  if (last === undefined) return undefined;
  end[end.length - 1] = last + 1;
  return end;
}

function parseRow(row: Readonly<Record<string, unknown>>): IndexRow {
  const meta = parseMeta(JSON.parse(String(row["meta"])));
  if (meta === undefined) throw new Error("read index: a row without metadata");
  const name = String(row["name"]);
  return {
    id: Number(row["id"]),
    key: { tenant: String(row["tenant"]), key: decode(row["key"]) },
    record: { segment: Number(row["segment"]), offset: Number(row["offset"]), bytes: Number(row["bytes"]) },
    file: name === "" ? undefined : { name, bytes: Number(row["file_bytes"]) },
    meta,
  };
}
