import { existsSync, rmSync } from "node:fs";
import { DatabaseSync, type StatementSync } from "node:sqlite";
import type { ObjectKey } from "../../core/key.ts";
import type { ObjectMeta } from "../../core/object.ts";
import type { ListPage, ListQuery } from "../adapter.ts";
import { faultOf } from "./faults.ts";
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

/** An entry that another one takes the place of. */
export interface ReplacedRow extends IndexRow {
  /** It was cleared before, and its file not yet removed. */
  readonly isCleared: boolean;
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

/** True of entries that were not cleared. */
const VISIBLE = "id > (SELECT cleared_id FROM totals) AND " +
  "id > coalesce((SELECT up_to FROM cleared WHERE cleared.tenant = objects.tenant), 0)";

/** Entries that are evicted in one transaction. */
const MOST_VICTIMS = 64;

/** SQLite's own wait for a lock, in milliseconds; it holds the event loop. Longer waits are the WriteGate's. */
const BUSY_TIMEOUT_MS = 5;

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
  readonly #findAny: StatementSync;
  readonly #deleteId: StatementSync;
  readonly #totals: StatementSync;
  readonly #oldest: StatementSync;
  readonly #reserve: StatementSync;
  readonly #release: StatementSync;
  readonly #touchRow: StatementSync;
  readonly #anyExpired: StatementSync;
  readonly #takeExpired: StatementSync;
  readonly #touched: Map<number, number> = new Map();
  #owedBytes = 0;

  private constructor(db: DatabaseSync) {
    this.#db = db;
    this.#find = db.prepare(`SELECT ${COLUMNS} FROM objects WHERE tenant = ? AND key = ? AND ${VISIBLE}`);
    this.#insert = db.prepare(
      "INSERT INTO objects (tenant, key, name, file_bytes, size, crc32, version, created_ms, expires_ms, content_type, sha256, headers, used_ms) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
    );
    this.#findAny = db.prepare(`SELECT ${COLUMNS}, ${VISIBLE} AS visible FROM objects WHERE tenant = ? AND key = ?`);
    this.#deleteId = db.prepare("DELETE FROM objects WHERE id = ? AND name = ?");
    this.#totals = db.prepare("SELECT objects, bytes, reserved FROM totals");
    this.#oldest = db.prepare("SELECT min(created_ms) AS oldest FROM objects");
    this.#reserve = db.prepare("UPDATE totals SET reserved = reserved + ?1 WHERE bytes + reserved + ?1 <= ?2");
    this.#release = db.prepare("UPDATE totals SET reserved = max(0, reserved - ?)");
    this.#touchRow = db.prepare("UPDATE objects SET used_ms = ? WHERE id = ?");
    this.#anyExpired = db.prepare("SELECT 1 FROM objects WHERE expires_ms > 0 AND expires_ms <= ? LIMIT 1");
    this.#takeExpired = db.prepare(
      `DELETE FROM objects WHERE id IN (SELECT id FROM objects WHERE expires_ms > 0 AND expires_ms <= ?1 ORDER BY expires_ms LIMIT ?2) RETURNING ${COLUMNS}`,
    );
  }

  /** Opens what is there. Throws if it is not a sound index of this schema. */
  static open(path: string): ObjectIndex {
    if (!existsSync(path)) throw new Error("Opening the index: there is none");
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
  put(
    entry: IndexEntry,
    options: { readonly usedMs: number; readonly reservedBytes: number },
  ): ReplacedRow | undefined {
    const { key, meta } = entry;
    return this.transaction(() => {
      const before = this.#findAny.get(key.tenant, encode(key.key));
      const old = before === undefined ? undefined : { ...parseRow(before), isCleared: before["visible"] === 0 };
      if (old !== undefined) this.remove(old);
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
      return old;
    });
  }

  /** Removes exactly this entry, not a newer one of its key; false if it was gone. The name is part of the question because SQLite gives free ids out again. */
  remove(entry: { readonly id: number; readonly name: string }): boolean {
    return Number(this.#deleteId.run(entry.id, entry.name).changes) > 0;
  }

  /** Removes and returns entries to evict until their files make up `bytes` (at most `most`): expired ones first, then those not used for longest. */
  takeVictims(bytes: number, nowMs: number, most = MOST_VICTIMS): readonly IndexRow[] {
    this.#flushTouched();
    return this.transaction(() => {
      const victims = new Map<number, IndexRow>();
      let freed = 0;
      for (const order of ["expires_ms > 0 AND expires_ms <= ?1 ORDER BY expires_ms", "?1 >= 0 ORDER BY used_ms, id"]) {
        if (freed >= bytes) break;
        for (const row of this.#db.prepare(`SELECT ${COLUMNS} FROM objects WHERE ${order} LIMIT ${most}`).all(nowMs)) {
          const victim = parseRow(row);
          if (freed >= bytes || victims.size >= most) break;
          if (victims.has(victim.id)) continue;
          victims.set(victim.id, victim);
          freed += victim.fileBytes;
        }
      }
      for (const victim of victims.values()) this.remove(victim);
      return [...victims.values()];
    });
  }

  /** The entries that were not used for longest. */
  victims(most: number): readonly IndexRow[] {
    return this.#db.prepare(`SELECT ${COLUMNS} FROM objects ORDER BY used_ms, id LIMIT ?`).all(most).map(parseRow);
  }

  /** Makes all entries, or one tenant's, invisible; returns how many. They are there until `takeCleared` has removed them. */
  clear(tenant: string | undefined): number {
    return this.transaction(() => {
      const where = tenant === undefined ? "?1 = ''" : "tenant = ?1";
      const count = this.#db.prepare(`SELECT count(*) AS count FROM objects WHERE ${where} AND ${VISIBLE}`).get(
        tenant ?? "",
      );
      const lastId = Number(this.#db.prepare("SELECT max(id) AS id FROM objects").get()?.["id"] ?? 0);
      if (tenant === undefined) this.#db.prepare("UPDATE totals SET cleared_id = max(cleared_id, ?)").run(lastId);
      else this.#db.prepare("INSERT OR REPLACE INTO cleared VALUES (?, ?)").run(tenant, lastId);
      return Number(count?.["count"]);
    });
  }

  /** Removes and returns up to `most` entries that were cleared; none once all are gone. */
  takeCleared(most: number): readonly IndexRow[] {
    const take = (where: string, ...values: readonly (string | number)[]): readonly IndexRow[] =>
      this.#db.prepare(
        `DELETE FROM objects WHERE id IN (SELECT id FROM objects WHERE ${where} LIMIT ${most}) RETURNING ${COLUMNS}`,
      ).all(...values).map(parseRow);
    return this.transaction(() => {
      const rows = take("id <= (SELECT cleared_id FROM totals)");
      if (rows.length > 0) return rows;
      for (const row of this.#db.prepare("SELECT tenant, up_to FROM cleared").all()) {
        const [tenant, upTo] = [String(row["tenant"]), Number(row["up_to"])];
        const ofTenant = take("tenant = ? AND id <= ?", tenant, upTo);
        if (ofTenant.length > 0) return ofTenant;
        this.#db.prepare("DELETE FROM cleared WHERE tenant = ?").run(tenant);
      }
      return [];
    });
  }

  /** Removes and returns up to `most` entries whose time was up at `nowMs`, the longest expired ones first. */
  takeExpired(nowMs: number, most: number): readonly IndexRow[] {
    // Asked first, so that looking for nothing takes no write lock.
    if (this.#anyExpired.get(nowMs) === undefined) return [];
    return this.#takeExpired.all(nowMs, most).map(parseRow);
  }

  /** One page of unexpired entries in the byte order of their keys. */
  list(query: ListQuery, nowMs: number): ListPage {
    const prefix = encode(query.prefix);
    const end = successor(prefix);
    const rows = this.#db.prepare(
      `SELECT ${COLUMNS} FROM objects WHERE tenant = ?1 AND key >= ?2 AND key > ?3 AND (expires_ms = 0 OR expires_ms > ?4) AND ${VISIBLE}` +
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

  /** Gives reserved room back now or, if the index cannot be written, with the next `settle`. Never throws. */
  releaseSoon(bytes: number): void {
    this.#owedBytes += bytes;
    try {
      this.settle();
    } catch {
      // It stays owed.
    }
  }

  /** Gives back what could not be given back before. */
  settle(): void {
    this.release(this.#owedBytes);
    this.#owedBytes = 0;
  }

  /** Forgets what crashed stores had reserved. Only while nobody else uses the folder. */
  resetReserved(): void {
    this.#db.exec("UPDATE totals SET reserved = 0");
  }

  /** Notes a use for eviction's order; written in batches, so kill -9 forgets the last few. */
  touch(id: number, usedMs: number): void {
    this.#touched.set(id, usedMs);
    if (this.#touched.size % TOUCH_BATCH !== 0) return;
    try {
      this.#flushTouched();
    } catch (error) {
      // The order of eviction is worth no failed load; what is not written now is written with the next batch.
      if (faultOf(error) === "other") throw error;
      if (this.#touched.size >= 16 * TOUCH_BATCH) this.#touched.clear();
    }
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
      this.#rollBack();
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

  /** SQLite ends a transaction by itself on a full disk, and then there is nothing to roll back; the first failure is the one to tell. */
  #rollBack(): void {
    try {
      if (this.#db.isTransaction) this.#db.exec("ROLLBACK");
    } catch {
      // The connection is of no use any more, which the next call says.
    }
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
  db.exec(`PRAGMA busy_timeout = ${BUSY_TIMEOUT_MS}`);
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
