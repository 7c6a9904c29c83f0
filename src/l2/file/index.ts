import { rmSync } from "node:fs";
import { DatabaseSync, type StatementSync } from "node:sqlite";
import type { ObjectKey } from "../../core/key.ts";
import type { ObjectMeta } from "../../core/object.ts";
import type { ListPage, ListQuery } from "../adapter.ts";
import { SCHEMA, SCHEMA_VERSION } from "./schema.ts";

/** What the index knows of one object file. */
export interface IndexEntry {
  readonly key: ObjectKey;
  readonly meta: ObjectMeta;
  /** File name. */
  readonly name: string;
  /** Length of the whole file. */
  readonly fileBytes: number;
}

/** An entry as it is stored, with its row number. */
export interface IndexRow extends IndexEntry {
  readonly id: number;
}

/** Running totals over all threads that use the folder. */
export interface IndexTotals {
  readonly objects: number;
  /** Bytes of all object files. */
  readonly bytes: number;
  /** Bytes reserved by stores that are running. */
  readonly reserved: number;
}

const COLUMNS =
  "id, tenant, key, name, file_bytes, size, crc32, version, created_ms, expires_ms, content_type, sha256, headers";
const TOUCH_BATCH = 256;

/** Pages kept in memory, per thread: enough for the inner nodes of a million objects, whose keys arrive in no order. */
const CACHE_KIB = 16 * 1024;

/**
 * The index of the object files: a cache of what their tails say, in SQLite, so that lookups, listings and totals touch no file.
 * Synchronous. Any number of threads may open the same one (WAL); every method is one transaction.
 */
export class ObjectIndex {
  readonly #db: DatabaseSync;
  readonly #find: StatementSync;
  readonly #insert: StatementSync;
  readonly #deleteKey: StatementSync;
  readonly #deleteId: StatementSync;
  readonly #totals: StatementSync;
  readonly #oldest: StatementSync;
  readonly #reserve: StatementSync;
  readonly #release: StatementSync;
  readonly #touchRow: StatementSync;
  readonly #touched: Map<number, number> = new Map();

  private constructor(db: DatabaseSync) {
    this.#db = db;
    this.#find = db.prepare(`SELECT ${COLUMNS} FROM objects WHERE tenant = ? AND key = ?`);
    this.#insert = db.prepare(
      "INSERT INTO objects (tenant, key, name, file_bytes, size, crc32, version, created_ms, expires_ms, content_type, sha256, headers, used_ms) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
    );
    this.#deleteKey = db.prepare(`DELETE FROM objects WHERE tenant = ? AND key = ? RETURNING ${COLUMNS}`);
    this.#deleteId = db.prepare("DELETE FROM objects WHERE id = ? AND name = ?");
    this.#totals = db.prepare("SELECT objects, bytes, reserved FROM totals");
    this.#oldest = db.prepare("SELECT min(created_ms) AS oldest FROM objects");
    this.#reserve = db.prepare("UPDATE totals SET reserved = reserved + ?1 WHERE bytes + reserved + ?1 <= ?2");
    this.#release = db.prepare("UPDATE totals SET reserved = max(0, reserved - ?)");
    this.#touchRow = db.prepare("UPDATE objects SET used_ms = ? WHERE id = ?");
  }

  /** Opens what is there. Throws if it is not a sound index of this schema. */
  static open(path: string): ObjectIndex {
    const db = new DatabaseSync(path);
    try {
      setUp(db);
      const version = Number(db.prepare("PRAGMA user_version").get()?.["user_version"]);
      if (version !== SCHEMA_VERSION) throw new Error(`Opening the index: schema version ${version}`);
      if (db.prepare("PRAGMA quick_check(1)").get()?.["quick_check"] !== "ok") {
        throw new Error("Opening the index: damaged");
      }
      return new ObjectIndex(db);
    } catch (error) {
      db.close();
      throw error;
    }
  }

  /** Removes what is there and makes an empty index. */
  static create(path: string): ObjectIndex {
    for (const suffix of ["", "-wal", "-shm", "-journal"]) rmSync(path + suffix, { force: true });
    const db = new DatabaseSync(path);
    setUp(db);
    db.exec(SCHEMA);
    return new ObjectIndex(db);
  }

  /** The entry of a key, expired or not. */
  find(key: ObjectKey): IndexRow | undefined {
    const row = this.#find.get(key.tenant, encode(key.key));
    return row === undefined ? undefined : parseRow(row);
  }

  /** Puts an entry in the place of whatever the key had, which is returned, and gives `reservedBytes` back. */
  put(entry: IndexEntry, options: { readonly usedMs: number; readonly reservedBytes: number }): IndexRow | undefined {
    const { key, meta } = entry;
    return this.transaction(() => {
      const old = this.#deleteKey.get(key.tenant, encode(key.key));
      this.#insert.run(
        key.tenant,
        encode(key.key),
        entry.name,
        entry.fileBytes,
        meta.sizeBytes,
        meta.crc32,
        meta.version,
        meta.createdMs,
        meta.expiresMs,
        meta.contentType,
        meta.sha256,
        meta.headers ?? "",
        options.usedMs,
      );
      this.release(options.reservedBytes);
      return old === undefined ? undefined : parseRow(old);
    });
  }

  /** Removes exactly this entry, not a newer one of its key; false if it was gone. The name is part of the question because SQLite gives free ids out again. */
  remove(entry: { readonly id: number; readonly name: string }): boolean {
    return Number(this.#deleteId.run(entry.id, entry.name).changes) > 0;
  }

  /** Removes and returns entries to evict until their files make up `bytes` (at most 64): expired ones first, then those not used for longest. */
  takeVictims(bytes: number, nowMs: number): readonly IndexRow[] {
    this.#flushTouched();
    return this.transaction(() => {
      const victims = new Map<number, IndexRow>();
      let freed = 0;
      for (const order of ["expires_ms > 0 AND expires_ms <= ?1 ORDER BY expires_ms", "?1 >= 0 ORDER BY used_ms, id"]) {
        if (freed >= bytes) break;
        for (const row of this.#db.prepare(`SELECT ${COLUMNS} FROM objects WHERE ${order} LIMIT 64`).all(nowMs)) {
          const victim = parseRow(row);
          if (freed >= bytes || victims.size >= 64) break;
          if (victims.has(victim.id)) continue;
          victims.set(victim.id, victim);
          freed += victim.fileBytes;
        }
      }
      for (const victim of victims.values()) this.remove(victim);
      return [...victims.values()];
    });
  }

  /** Removes and returns up to 500 entries, of one tenant or of all, that were there when `lastId` was. */
  takeAny(tenant: string | undefined, lastId: number): readonly IndexRow[] {
    const where = tenant === undefined ? "?1 = ''" : "tenant = ?1";
    return this.#db.prepare(
      `DELETE FROM objects WHERE id IN (SELECT id FROM objects WHERE ${where} AND id <= ?2 LIMIT 500) RETURNING ${COLUMNS}`,
    ).all(tenant ?? "", lastId).map(parseRow);
  }

  /** The highest id so far. */
  lastId(): number {
    return Number(this.#db.prepare("SELECT max(id) AS id FROM objects").get()?.["id"] ?? 0);
  }

  /** One page of unexpired entries in the byte order of their keys. */
  list(query: ListQuery, nowMs: number): ListPage {
    const prefix = encode(query.prefix);
    const end = successor(prefix);
    const rows = this.#db.prepare(
      `SELECT ${COLUMNS} FROM objects WHERE tenant = ?1 AND key >= ?2 AND key > ?3 AND (expires_ms = 0 OR expires_ms > ?4)` +
        `${end === undefined ? " AND ?5 = ?5" : " AND key < ?5"} ORDER BY key LIMIT ?6`,
    ).all(query.tenant, prefix, encode(query.after), nowMs, end ?? prefix, query.limit + 1).map(parseRow);
    return {
      entries: rows.slice(0, query.limit).map(({ key, meta }) => ({ key: key.key, meta })),
      more: rows.length > query.limit,
    };
  }

  /** Kept up to date by triggers: costs the same however many objects there are. */
  totals(): IndexTotals {
    const row = this.#totals.get();
    return { objects: Number(row?.["objects"]), bytes: Number(row?.["bytes"]), reserved: Number(row?.["reserved"]) };
  }

  /** When the oldest object was made, in milliseconds since the epoch; undefined if there is none. One look into an index. */
  oldestMs(): number | undefined {
    const oldest = this.#oldest.get()?.["oldest"];
    return typeof oldest === "number" ? oldest : undefined;
  }

  /** The newest time of use that is stored; 0 if there is none. */
  newestUseMs(): number {
    return Number(this.#db.prepare("SELECT max(used_ms) AS newest FROM objects").get()?.["newest"] ?? 0);
  }

  /** Reserves room if stored and reserved bytes stay within the limit. */
  reserve(bytes: number, limitBytes: number): boolean {
    return Number(this.#reserve.run(bytes, limitBytes).changes) > 0;
  }

  /** Gives reserved room back. */
  release(bytes: number): void {
    if (bytes > 0) this.#release.run(bytes);
  }

  /** Forgets what crashed stores had reserved. Only while nobody else uses the folder. */
  resetReserved(): void {
    this.#db.exec("UPDATE totals SET reserved = 0");
  }

  /** Notes a use for eviction's order; written in batches, so kill -9 forgets the last few. */
  touch(id: number, usedMs: number): void {
    this.#touched.set(id, usedMs);
    if (this.#touched.size >= TOUCH_BATCH) this.#flushTouched();
  }

  /** The names in one folder ("00" to "ff") with the ids of their entries. */
  names(folder: string): Map<string, number> {
    const rows = this.#db.prepare("SELECT name, id FROM objects WHERE name >= ? AND name < ?").all(
      folder,
      `${folder}g`,
    );
    return new Map(rows.map((row) => [String(row["name"]), Number(row["id"])]));
  }

  /** Runs `work` as one transaction; a throw undoes it. */
  transaction<T>(work: () => T): T {
    if (this.#db.isTransaction) return work();
    this.#db.exec("BEGIN IMMEDIATE");
    try {
      const result = work();
      this.#db.exec("COMMIT");
      return result;
    } catch (error) {
      this.#db.exec("ROLLBACK");
      throw error;
    }
  }

  /** Brings everything written so far onto stable storage and into the main file. */
  sync(): void {
    this.#flushTouched();
    this.#db.exec("PRAGMA synchronous = FULL");
    this.#db.prepare("PRAGMA wal_checkpoint(TRUNCATE)").get();
  }

  close(): void {
    this.#db.close();
  }

  #flushTouched(): void {
    if (this.#touched.size === 0) return;
    this.transaction(() => {
      for (const [id, usedMs] of this.#touched) this.#touchRow.run(usedMs, id);
    });
    this.#touched.clear();
  }
}

function setUp(db: DatabaseSync): void {
  db.exec("PRAGMA busy_timeout = 10000");
  db.exec("PRAGMA journal_mode = WAL");
  db.exec("PRAGMA synchronous = OFF");
  db.exec(`PRAGMA cache_size = -${CACHE_KIB}`);
}

function encode(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

/** A key's text; the column is a blob, or the row is not ours. */
function decode(bytes: unknown): string {
  if (!(bytes instanceof Uint8Array)) throw new Error(`Reading the index: a key of type ${typeof bytes}`);
  return new TextDecoder("utf-8", { ignoreBOM: true }).decode(bytes);
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
  const headers = String(row["headers"]);
  return {
    id: Number(row["id"]),
    key: { tenant: String(row["tenant"]), key: decode(row["key"]) },
    name: String(row["name"]),
    fileBytes: Number(row["file_bytes"]),
    meta: {
      sizeBytes: Number(row["size"]),
      crc32: Number(row["crc32"]),
      version: Number(row["version"]),
      createdMs: Number(row["created_ms"]),
      expiresMs: Number(row["expires_ms"]),
      contentType: String(row["content_type"]),
      sha256: String(row["sha256"]),
      ...(headers === "" ? {} : { headers }),
    },
  };
}
