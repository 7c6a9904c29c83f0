import type { DatabaseSync, StatementSync } from "node:sqlite";
import type { ObjectKey } from "../../../core/object.ts";
import type { ListPage, ListQuery } from "../../adapter.ts";
import { IndexDamage } from "../disk.ts";
import type { IndexEntry, IndexRow, RecordPlace } from "../folder_calls.ts";
import { COLUMNS, encodeKey, parseRow, rowOf, segmentSum } from "./index_rows.ts";

/** Totals over all objects. */
export interface IndexTotals {
  readonly objects: number;
  /** Bytes of the objects that have a file of their own. */
  readonly fileBytes: number;
}

/**
 * The index of a folder, in SQLite: the place of every object, so that lookups, listings and totals read no object. It
 * blocks, and is for one thread: while it is open nothing else can lock the database. It is never ahead of the
 * segments, and stays consistent in a power loss (WAL with synchronous=NORMAL); the next start replays whatever it has
 * missed.
 */
export class ObjectIndex {
  readonly #db: DatabaseSync;
  readonly #find: StatementSync;
  readonly #insert: StatementSync;
  readonly #deleteKey: StatementSync;
  readonly #deleteId: StatementSync;
  readonly #move: StatementSync;
  readonly #segment: StatementSync;
  /** Ids of entries that were loaded since their record was written. */
  readonly #used = new Set<number>();
  #objects = 0;
  #fileBytes = 0;
  #lastId: number;
  /** The rows up to this id are in segments that have been noted. */
  #notedId: number;
  /** The latest creation time so far, in the order of the log. */
  #youngestMs: number;
  /** True while the totals in the database are valid. */
  #isClean: boolean;

  /** Takes ownership of the connection. */
  constructor(db: DatabaseSync) {
    this.#db = db;
    this.#find = db.prepare(`SELECT ${COLUMNS} FROM objects WHERE tenant = ? AND key = ?`);
    this.#insert = db.prepare(
      "INSERT INTO objects (id, tenant, key, segment, offset, bytes, name, file_bytes, created_ms, expires_ms, late, meta, sum) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
    );
    this.#deleteKey = db.prepare(`DELETE FROM objects WHERE tenant = ? AND key = ? RETURNING ${COLUMNS}`);
    this.#deleteId = db.prepare("DELETE FROM objects WHERE id = ? AND segment = ? AND offset = ?");
    this.#move = db.prepare(
      "UPDATE objects SET id = ?, segment = ?, offset = ?, meta = ?, sum = ?, late = 1 WHERE id = ?",
    );
    this.#segment = db.prepare(
      "INSERT INTO segments (id, nonce, bytes, sum, first_id, live_bytes) VALUES (?, ?, ?, ?, ?, 0) ON CONFLICT (id) DO UPDATE SET bytes = excluded.bytes, sum = excluded.sum",
    );
    this.#lastId = numberOf(db, "SELECT max(id) AS value FROM objects");
    this.#notedId = this.#lastId;
    this.#youngestMs = numberOf(db, "SELECT created_ms AS value FROM objects WHERE late = 0 ORDER BY id DESC LIMIT 1");
    this.#isClean = numberOf(db, "SELECT count(*) AS value FROM totals") === 1;
    const totals = this.#isClean
      ? "SELECT objects, file_bytes FROM totals"
      : "SELECT count(*) AS objects, coalesce(sum(file_bytes), 0) AS file_bytes FROM objects";
    const row = db.prepare(totals).get();
    this.#objects = Number(row?.["objects"]);
    this.#fileBytes = Number(row?.["file_bytes"]);
  }

  /** Returns the entry of a key, expired or not. */
  find(key: ObjectKey): IndexRow | undefined {
    const row = this.#find.get(key.tenant, encodeKey(key.key));
    return row === undefined ? undefined : parseRow(row);
  }

  /** Puts an entry in place of the key's previous one, which is returned. */
  put(entry: IndexEntry): IndexRow | undefined {
    const { key, meta, record, file } = entry;
    const name = encodeKey(key.key);
    this.#changing();
    const old = this.#deleteKey.get(key.tenant, name);
    const replaced = old === undefined ? undefined : parseRow(old);
    if (replaced !== undefined) this.#forget(replaced);
    this.#lastId += 1;
    const row = rowOf({ ...entry, id: this.#lastId });
    this.#insert.run(
      this.#lastId,
      key.tenant,
      name,
      record.segment,
      record.offset,
      record.bytes,
      row.name,
      row.file_bytes,
      meta.createdMs,
      meta.expiresMs,
      meta.createdMs < this.#youngestMs ? 1 : 0,
      row.meta,
      row.sum,
    );
    this.#youngestMs = Math.max(this.#youngestMs, meta.createdMs);
    this.#objects += 1;
    this.#fileBytes += file?.bytes ?? 0;
    return replaced;
  }

  /**
   * Removes exactly this entry, not a newer one of its key; returns false if it was gone. The id alone is not enough,
   * because unused ids are assigned again after a restart.
   */
  remove(row: IndexRow): boolean {
    const removed = Number(this.#deleteId.run(row.id, row.record.segment, row.record.offset).changes) > 0;
    if (removed) this.#forget(row);
    return removed;
  }

  /** Removes and returns the entry of a key. */
  removeKey(key: ObjectKey): IndexRow | undefined {
    const old = this.#deleteKey.get(key.tenant, encodeKey(key.key));
    const removed = old === undefined ? undefined : parseRow(old);
    if (removed !== undefined) this.#forget(removed);
    return removed;
  }

  /** Records that an entry's record was moved to the end of the log, and clears its use. */
  move(row: IndexRow, to: Pick<RecordPlace, "segment" | "offset">): void {
    this.#changing();
    this.#lastId += 1;
    const { meta, sum } = rowOf({ ...row, id: this.#lastId, record: { ...row.record, ...to } });
    this.#move.run(this.#lastId, to.segment, to.offset, meta, sum, row.id);
    this.#used.delete(row.id);
  }

  /** Iterates over up to `limit` entries, oldest record first. Nothing may be changed until the iteration has ended. */
  *oldest(limit: number): Generator<IndexRow, void, void> {
    for (const row of this.#db.prepare(`SELECT ${COLUMNS} FROM objects ORDER BY id LIMIT ?`).iterate(limit)) {
      yield parseRow(row);
    }
  }

  /** Records a use, for eviction. */
  use(row: IndexRow): void {
    this.#used.add(row.id);
  }

  /** True if an entry was used since its record was written. Uses are forgotten when the index is closed. */
  isUsed(row: IndexRow): boolean {
    return this.#used.has(row.id);
  }

  /** Returns up to `limit` entries that had expired at `nowMs`. */
  expired(nowMs: number, limit: number): readonly IndexRow[] {
    return this.#db.prepare(
      `SELECT ${COLUMNS} FROM objects WHERE expires_ms > 0 AND expires_ms <= ? ORDER BY expires_ms LIMIT ?`,
    ).all(nowMs, limit).map(parseRow);
  }

  /** Returns up to `limit` entries of one tenant, or of all, with `after` < id <= `last`, in the order of their ids. */
  entries(
    tenant: string | undefined,
    { after, last, limit }: { readonly after: number; readonly last: number; readonly limit: number },
  ): readonly IndexRow[] {
    const where = tenant === undefined ? "?1 = ''" : "tenant = ?1";
    return this.#db.prepare(
      `SELECT ${COLUMNS} FROM objects WHERE ${where} AND id > ?2 AND id <= ?3 ORDER BY id LIMIT ?4`,
    ).all(tenant ?? "", after, last, limit).map(parseRow);
  }

  /** Returns all entries in a segment, in the order of their records. */
  inSegment(id: number): readonly IndexRow[] {
    return this.#db.prepare(`SELECT ${COLUMNS} FROM objects WHERE segment = ? AND ${ID_IN_SEGMENT} ORDER BY id`)
      .all(id, id, id).map(parseRow);
  }

  /** Returns the bytes of the records that the index refers to, by segment. */
  liveBytes(): ReadonlyMap<number, number> {
    const live = this.#isClean
      ? "live_bytes"
      : `(SELECT coalesce(sum(o.bytes), 0) FROM objects o WHERE o.id >= s.first_id AND o.segment = s.id AND
          o.id < coalesce((SELECT n.first_id FROM segments n WHERE n.id > s.id ORDER BY n.id LIMIT 1), 1 << 53))`;
    const rows = this.#db.prepare(`SELECT s.id, ${live} AS bytes FROM segments s`).all();
    return new Map(rows.map((row) => [Number(row["id"]), Number(row["bytes"])]));
  }

  /** Returns a page of unexpired entries in the byte order of their keys, without the entries up to id `hiddenUpTo`. */
  list(query: ListQuery, { nowMs, hiddenUpTo }: { readonly nowMs: number; readonly hiddenUpTo: number }): ListPage {
    const prefix = encodeKey(query.prefix);
    const end = successor(prefix);
    const rows = this.#db.prepare(
      `SELECT ${COLUMNS} FROM objects WHERE tenant = ?1 AND key >= ?2 AND key > ?3 AND (expires_ms = 0 OR expires_ms > ?4)` +
        `${end === undefined ? " AND ?5 = ?5" : " AND key < ?5"} AND id > ?6 ORDER BY key LIMIT ?7`,
    ).all(query.tenant, prefix, encodeKey(query.after), nowMs, end ?? prefix, hiddenUpTo, query.limit + 1).map(
      parseRow,
    );
    return {
      entries: rows.slice(0, query.limit).map(({ key, meta }) => ({ key: key.key, meta })),
      more: rows.length > query.limit,
    };
  }

  /** The totals. Cheap, because every change updates them. */
  get totals(): IndexTotals {
    return { objects: this.#objects, fileBytes: this.#fileBytes };
  }

  /** Returns the creation time of the oldest object, in milliseconds since the epoch; undefined if there is none. */
  oldestMs(): number | undefined {
    const rows = ["WHERE late = 0 ORDER BY id", "WHERE late = 1 ORDER BY created_ms"].map((order) =>
      this.#db.prepare(`SELECT created_ms FROM objects ${order} LIMIT 1`).get()
    );
    const ages = rows.filter((row) => row !== undefined).map((row) => Number(row["created_ms"]));
    return ages.length === 0 ? undefined : Math.min(...ages);
  }

  /** Returns the file names in one folder ("00" to "ff"), with their entries' ids. */
  names(folder: string): Map<string, number> {
    const rows = this.#db.prepare("SELECT name, id FROM objects WHERE name <> '' AND name >= ? AND name < ?").all(
      folder,
      `${folder}g`,
    );
    return new Map(rows.map((row) => [String(row["name"]), Number(row["id"])]));
  }

  /** Removes an entry whose file is missing. */
  forgetFile(id: number): void {
    const row = this.#db.prepare(`DELETE FROM objects WHERE id = ? RETURNING ${COLUMNS}`).get(id);
    if (row !== undefined) this.#forget(parseRow(row));
  }

  /** Returns the segments in the index, with the number of bytes read of each. */
  segments(): ReadonlyMap<number, { readonly nonce: string; readonly bytes: number }> {
    const rows = this.#db.prepare("SELECT id, nonce, bytes, sum FROM segments").all();
    return new Map(rows.map((row) => {
      const [id, nonce, bytes] = [Number(row["id"]), String(row["nonce"]), Number(row["bytes"])];
      if (row["sum"] !== segmentSum(id, nonce, bytes)) throw new IndexDamage("read index: a segment is not as written");
      return [id, { nonce, bytes }];
    }));
  }

  /** Records that everything in a segment up to `bytes` is in the index. */
  noteSegment(id: number, { nonce, bytes }: { readonly nonce: string; readonly bytes: number }): void {
    this.#segment.run(id, nonce, bytes, segmentSum(id, nonce, bytes), this.#notedId + 1);
    this.#notedId = this.#lastId;
  }

  /** Removes a segment that is gone, with its remaining entries; returns their number. */
  forgetSegment(id: number): number {
    const rows = this.inSegment(id);
    for (const row of rows) this.remove(row);
    this.#db.prepare("DELETE FROM segments WHERE id = ?").run(id);
    return rows.length;
  }

  /** Removes the entries whose records end after the first `bytes` of a segment; returns their number. */
  cutSegment(id: number, bytes: number): number {
    const rows = this.inSegment(id).filter(({ record }) => record.offset + record.bytes > bytes);
    for (const row of rows) this.remove(row);
    return rows.length;
  }

  /** Removes all entries of one tenant, or of all tenants. */
  clear(tenant: string | undefined): void {
    this.#clear(tenant, this.#lastId);
  }

  /** Records that a clear of all current entries has begun; returns their highest id. */
  beginClear(tenant: string | undefined): number {
    this.#db.prepare("INSERT INTO clears (tenant, last_id) VALUES (?, ?)").run(tenant ?? null, this.#lastId);
    return this.#lastId;
  }

  /** Records that a clear is complete. */
  endClear(tenant: string | undefined, lastId: number): void {
    this.#db.prepare("DELETE FROM clears WHERE tenant IS ? AND last_id = ?").run(tenant ?? null, lastId);
  }

  /** Finishes clears that a crash has interrupted; returns the number of removed entries. */
  finishClears(): number {
    let removed = 0;
    for (const row of this.#db.prepare("SELECT tenant, last_id FROM clears").all()) {
      const tenant = typeof row["tenant"] === "string" ? row["tenant"] : undefined;
      removed += this.#clear(tenant, Number(row["last_id"]));
    }
    this.#db.exec("DELETE FROM clears");
    return removed;
  }

  /** Runs `work` as one transaction. If it throws, the transaction is rolled back. */
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
      // SQLite rolls back by itself after some errors, such as a full disk.
      if (this.#db.isTransaction) this.#db.exec("ROLLBACK");
      throw error;
    }
  }

  /** Stores the totals and moves everything durably into the main file. Nothing may be changed afterwards. */
  finish(liveBytes: ReadonlyMap<number, number>): void {
    this.transaction(() => {
      for (const [id, bytes] of liveBytes) {
        this.#db.prepare("UPDATE segments SET live_bytes = ? WHERE id = ?").run(bytes, id);
      }
      this.#db.exec("DELETE FROM totals");
      this.#db.prepare("INSERT INTO totals (objects, file_bytes) VALUES (?, ?)").run(this.#objects, this.#fileBytes);
    });
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

  /** Invalidates the totals in the database before a change. */
  #changing(): void {
    if (!this.#isClean) return;
    this.#isClean = false;
    this.#db.exec("DELETE FROM totals");
  }

  #forget({ id, file }: IndexRow): void {
    this.#changing();
    this.#objects -= 1;
    this.#fileBytes -= file?.bytes ?? 0;
    this.#used.delete(id);
  }
}

/** The range of ids of the rows of a segment; takes the segment's number twice. */
const ID_IN_SEGMENT = `id >= (SELECT first_id FROM segments WHERE id = ?) AND
  id < coalesce((SELECT first_id FROM segments WHERE id > ? ORDER BY id LIMIT 1), 1 << 53)`;

/** Returns the `value` of a query's row; 0 if there is none. */
function numberOf(db: DatabaseSync, query: string): number {
  return Number(db.prepare(query).get()?.["value"] ?? 0);
}

/**
 * Returns the first byte string after all strings that begin with `prefix`; undefined if the prefix is empty. UTF-8
 * contains no 0xff, so the last byte can always be incremented.
 */
function successor(prefix: Uint8Array): Uint8Array | undefined {
  const end = prefix.slice();
  const last = end.at(-1);
  if (last === undefined) return undefined;
  end[end.length - 1] = last + 1;
  return end;
}
