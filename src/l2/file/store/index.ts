import type { DatabaseSync, StatementSync } from "node:sqlite";
import type { ObjectKey } from "../../../core/key.ts";
import type { ListPage, ListQuery } from "../../adapter.ts";
import { parseMeta } from "../format.ts";
import type { IndexEntry, IndexRow, RecordPlace } from "../place.ts";

/** Totals over all objects. */
export interface IndexTotals {
  readonly objects: number;
  /** Bytes of the objects that lie in files of their own. */
  readonly fileBytes: number;
}

const COLUMNS = "id, tenant, key, segment, offset, bytes, name, file_bytes, meta";

/**
 * The index of a folder, in SQLite: where every object lies, so that lookups, listings and totals touch no object.
 * Blocking, and for one thread: while it is open nobody else can lock the database. It is never ahead of what the
 * segments hold, and never loses its own consistency in a power loss (WAL with synchronous=NORMAL); what it has not
 * seen it is told at the next start.
 */
export class ObjectIndex {
  readonly #db: DatabaseSync;
  readonly #find: StatementSync;
  readonly #insert: StatementSync;
  readonly #deleteKey: StatementSync;
  readonly #deleteId: StatementSync;
  readonly #move: StatementSync;
  readonly #segment: StatementSync;
  /** Entries that were loaded since their record was written. */
  readonly #used = new Set<number>();
  #objects = 0;
  #fileBytes = 0;
  #lastId: number;
  /** The rows up to this id lie in segments that have been noted. */
  #notedId: number;
  /** When the youngest object was made that is younger than all before it. */
  #youngestMs: number;
  /** Whether the totals in the database hold. */
  #isClean: boolean;

  /** Takes over the connection. */
  constructor(db: DatabaseSync) {
    this.#db = db;
    this.#find = db.prepare(`SELECT ${COLUMNS} FROM objects WHERE tenant = ? AND key = ?`);
    this.#insert = db.prepare(
      "INSERT INTO objects (id, tenant, key, segment, offset, bytes, name, file_bytes, created_ms, expires_ms, late, meta) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
    );
    this.#deleteKey = db.prepare(`DELETE FROM objects WHERE tenant = ? AND key = ? RETURNING ${COLUMNS}`);
    this.#deleteId = db.prepare("DELETE FROM objects WHERE id = ? AND segment = ? AND offset = ?");
    this.#move = db.prepare("UPDATE objects SET id = ?, segment = ?, offset = ?, late = 1 WHERE id = ?");
    this.#segment = db.prepare(
      "INSERT INTO segments (id, nonce, bytes, first_id, live_bytes) VALUES (?, ?, ?, ?, 0) ON CONFLICT (id) DO UPDATE SET bytes = excluded.bytes",
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

  /** The entry of a key, expired or not. */
  find(key: ObjectKey): IndexRow | undefined {
    const row = this.#find.get(key.tenant, encode(key.key));
    return row === undefined ? undefined : parseRow(row);
  }

  /** Puts an entry in the place of whatever the key had, which is returned. */
  put(entry: IndexEntry): IndexRow | undefined {
    const { key, meta, record, file } = entry;
    const name = encode(key.key);
    this.#changing();
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
      meta.createdMs < this.#youngestMs ? 1 : 0,
      JSON.stringify(meta),
    );
    this.#youngestMs = Math.max(this.#youngestMs, meta.createdMs);
    this.#objects += 1;
    this.#fileBytes += file?.bytes ?? 0;
    return replaced;
  }

  /**
   * Removes exactly this entry, not a newer one of its key; false if it was gone. The place is part of the question
   * because free ids are given out again after a restart.
   */
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

  /** The record lies at the end of the log now, and has not been used there. */
  move(row: IndexRow, to: Pick<RecordPlace, "segment" | "offset">): void {
    this.#changing();
    this.#lastId += 1;
    this.#move.run(this.#lastId, to.segment, to.offset, row.id);
    this.#used.delete(row.id);
  }

  /**
   * Up to `limit` entries, those whose records are the oldest first. Nothing may be changed until the last one has been
   * taken.
   */
  *oldest(limit: number): Generator<IndexRow, void, void> {
    for (const row of this.#db.prepare(`SELECT ${COLUMNS} FROM objects ORDER BY id LIMIT ?`).iterate(limit)) {
      yield parseRow(row);
    }
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

  /**
   * Up to `limit` entries, of one tenant or of all, with an id above `after` and up to `last`, in the order of their
   * ids.
   */
  entries(
    tenant: string | undefined,
    { after, last, limit }: { readonly after: number; readonly last: number; readonly limit: number },
  ): readonly IndexRow[] {
    const where = tenant === undefined ? "?1 = ''" : "tenant = ?1";
    return this.#db.prepare(
      `SELECT ${COLUMNS} FROM objects WHERE ${where} AND id > ?2 AND id <= ?3 ORDER BY id LIMIT ?4`,
    ).all(tenant ?? "", after, last, limit).map(parseRow);
  }

  /** All entries that lie in a segment, in the order of their records. */
  inSegment(id: number): readonly IndexRow[] {
    return this.#db.prepare(`SELECT ${COLUMNS} FROM objects WHERE segment = ? AND ${ID_IN_SEGMENT} ORDER BY id`)
      .all(id, id, id).map(parseRow);
  }

  /** Bytes by segment of the records that the index refers to. */
  liveBytes(): ReadonlyMap<number, number> {
    const live = this.#isClean
      ? "live_bytes"
      : `(SELECT coalesce(sum(o.bytes), 0) FROM objects o WHERE o.id >= s.first_id AND o.segment = s.id AND
          o.id < coalesce((SELECT n.first_id FROM segments n WHERE n.id > s.id ORDER BY n.id LIMIT 1), 1 << 53))`;
    const rows = this.#db.prepare(`SELECT s.id, ${live} AS bytes FROM segments s`).all();
    return new Map(rows.map((row) => [Number(row["id"]), Number(row["bytes"])]));
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

  /** When the oldest object was made, in milliseconds since the epoch; undefined if there is none. */
  oldestMs(): number | undefined {
    const rows = ["WHERE late = 0 ORDER BY id", "WHERE late = 1 ORDER BY created_ms"].map((order) =>
      this.#db.prepare(`SELECT created_ms FROM objects ${order} LIMIT 1`).get()
    );
    const ages = rows.filter((row) => row !== undefined).map((row) => Number(row["created_ms"]));
    return ages.length === 0 ? undefined : Math.min(...ages);
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
    this.#segment.run(id, nonce, bytes, this.#notedId + 1);
    this.#notedId = this.#lastId;
  }

  /** Forgets a segment that is gone, with the entries that still lay in it; returns how many those were. */
  forgetSegment(id: number): number {
    const rows = this.inSegment(id);
    for (const row of rows) this.remove(row);
    this.#db.prepare("DELETE FROM segments WHERE id = ?").run(id);
    return rows.length;
  }

  /**
   * Removes the entries whose records do not end within the first `bytes` of a segment; returns how many those were.
   */
  cutSegment(id: number, bytes: number): number {
    const rows = this.inSegment(id).filter(({ record }) => record.offset + record.bytes > bytes);
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

  /**
   * Runs `work` as one transaction; a throw undoes it, and is what the caller sees whatever becomes of the clean-up.
   */
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

  /**
   * Writes the totals down, and brings everything onto stable storage and into the main file: nothing is changed
   * afterwards.
   */
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

  /** The totals in the database do not hold any more. */
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

/** The ids that rows of a segment may have; takes the segment's number twice. */
const ID_IN_SEGMENT = `id >= (SELECT first_id FROM segments WHERE id = ?) AND
  id < coalesce((SELECT first_id FROM segments WHERE id > ? ORDER BY id LIMIT 1), 1 << 53)`;

/** The one number that a query gives; 0 if it gives none. */
function numberOf(db: DatabaseSync, query: string): number {
  return Number(db.prepare(query).get()?.["value"] ?? 0);
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

/**
 * The first byte string after all that begin with `prefix`; undefined if there is none. UTF-8 has no 0xff, so the last
 * byte can always go up.
 */
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
