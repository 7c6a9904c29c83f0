import { mkdirSync } from "node:fs";
import type { Clock } from "../core/clock.ts";
import type { ObjectKey } from "../core/key.ts";
import { isExpired, type ObjectMeta } from "../core/object.ts";
import type { Publish } from "../core/publish.ts";
import type { EventMap } from "../events/catalogue.ts";
import type { L2Adapter, L2Load, ListPage, ListQuery, StoreSource, TierRemovalListener, TierUsage } from "./adapter.ts";
import { Calls } from "./calls.ts";
import { type Disk, type DiskFile, openDisk } from "./file/disk.ts";
import { makeFolders } from "./file/folders.ts";
import { type IndexEntry, type IndexRow, ObjectIndex } from "./file/index.ts";
import { Layout } from "./file/layout.ts";
import { FolderLock } from "./file/lock.ts";
import { BlockReader } from "./file/reader.ts";
import { recover, type Recovery } from "./file/recover.ts";
import { Remover } from "./file/remover.ts";
import { Room } from "./file/room.ts";
import { isIndexTrusted, markClean, markRunning } from "./file/run_state.ts";
import { UseTimes } from "./file/use_times.ts";
import { ObjectWriter } from "./file/writer.ts";
import { watchSource } from "./source.ts";

/** Settings of a file adapter. */
export interface FileAdapterOptions {
  readonly name: string;
  /** The folder; made if it is not there. */
  readonly path: string;
  /** Bytes of object files at most, half-written ones included; 0 = no limit. */
  readonly limitBytes: number;
  /** false: no fsync of objects. Faster; an acknowledged object survives kill -9, but not power loss. */
  readonly sync: boolean;
  readonly publish: Publish<EventMap>;
  readonly clock: Clock;
  /** Default: nobody is told. */
  readonly onRemoved?: TierRemovalListener;
  /** The file system to write and read objects with (default: the real one). */
  readonly disk?: Disk;
}

interface Parts {
  readonly layout: Layout;
  readonly lock: FolderLock;
  readonly index: ObjectIndex;
  readonly recovery: Recovery;
}

/** Objects as checksummed files in a folder, with an index in SQLite; docs/L2_FILE.md describes both. */
export class FileAdapter implements L2Adapter {
  readonly name: string;
  readonly #calls: Calls;
  readonly #clock: Clock;
  readonly #disk: Disk;
  readonly #index: ObjectIndex;
  readonly #layout: Layout;
  readonly #lock: FolderLock;
  readonly #recovery: Recovery;
  readonly #remover: Remover;
  readonly #room: Room;
  readonly #sync: boolean;
  readonly #uses: UseTimes;

  private constructor(options: FileAdapterOptions, parts: Parts) {
    this.name = options.name;
    this.#calls = new Calls(options.name);
    this.#clock = options.clock;
    this.#sync = options.sync;
    this.#disk = options.disk ?? openDisk({ sync: options.sync });
    this.#index = parts.index;
    this.#layout = parts.layout;
    this.#lock = parts.lock;
    this.#uses = new UseTimes(options.clock, parts.index.newestUseMs());
    this.#recovery = parts.recovery;
    this.#remover = new Remover({
      tier: options.name,
      disk: this.#disk,
      layout: parts.layout,
      publish: options.publish,
      onRemoved: options.onRemoved,
    });
    this.#room = new Room({
      limitBytes: options.limitBytes,
      index: parts.index,
      remover: this.#remover,
      clock: options.clock,
    });
  }

  /** Opens the folder, recovering what a crash left behind. Throws tier_failed if it cannot be used, e.g. because another process uses it. */
  static async open(options: FileAdapterOptions): Promise<FileAdapter> {
    return await new Calls(options.name).run("Opening", async () => {
      const adapter = new FileAdapter(options, await openParts(options.path));
      const { corrupt } = adapter.#recovery;
      if (corrupt > 0) {
        // Whose objects they were cannot be read any more.
        options.publish("l2.removed", { tier: options.name, tenant: "", reason: "corrupt", keys: corrupt, bytes: 0 });
      }
      try {
        await adapter.#room.trim();
        return adapter;
      } catch (error) {
        await adapter.close();
        throw error;
      }
    });
  }

  /** What was found when the folder was opened; all zero if another thread had it open already. */
  get recovery(): Recovery {
    return this.#recovery;
  }

  async lookup(key: ObjectKey): Promise<ObjectMeta | undefined> {
    return await this.#calls.run("Looking up", async () => (await this.#findLive(key))?.meta);
  }

  async load(key: ObjectKey, range?: { readonly start: number; readonly end: number }): Promise<L2Load | undefined> {
    return await this.#calls.run("Loading", async () => {
      for (;;) {
        const row = await this.#findLive(key);
        if (row === undefined) return undefined;
        const onDamage = (): Promise<unknown> => this.#removeRow(row, "corrupt");
        const file = await this.#disk.open(this.#layout.objectPath(row.name));
        const reader = file === undefined ? undefined : await BlockReader.start(file, row, {
          range: range ?? { start: 0, end: row.meta.sizeBytes },
          onDamage,
          isClosed: () => this.#calls.closed,
        });
        if (reader !== undefined) {
          if (this.#room.limitBytes > 0) this.#index.touch(row.id, this.#uses.now());
          return { meta: row.meta, chunks: reader };
        }
        // Damaged or gone; or replaced since it was looked up, and then the next round finds the new one.
        await onDamage();
      }
    });
  }

  async store(key: ObjectKey, source: StoreSource): Promise<ObjectMeta> {
    const watched = watchSource(source);
    return await this.#calls.run("Storing", () => this.#write(key, watched.source), (error) => watched.threw(error));
  }

  async delete(key: ObjectKey): Promise<boolean> {
    return await this.#calls.run("Deleting", async () => {
      const row = await this.#findLive(key);
      return row !== undefined && await this.#removeRow(row, "deleted");
    });
  }

  async clear(tenant?: string): Promise<number> {
    return await this.#calls.run("Clearing", async () => {
      const lastId = this.#index.lastId();
      for (let count = 0;;) {
        const rows = this.#index.takeAny(tenant, lastId);
        if (rows.length === 0) return count;
        await this.#remover.drop(rows, { reason: "cleared", durable: true });
        count += rows.length;
      }
    });
  }

  async list(query: ListQuery): Promise<ListPage> {
    return await this.#calls.run("Listing", async () => this.#index.list(query, this.#clock.nowMs()));
  }

  async usage(): Promise<TierUsage> {
    return await this.#calls.run("Measuring", async () => {
      const { objects, bytes } = this.#index.totals();
      const { leftovers } = this.#recovery;
      const oldestMs = this.#index.oldestMs();
      return {
        objects,
        usedBytes: bytes,
        limitBytes: this.#room.limitBytes,
        oldestAgeSeconds: oldestMs === undefined ? 0 : Math.max(0, this.#clock.nowMs() - oldestMs) / 1000,
        leftoversRemoved: leftovers,
      };
    });
  }

  /** Loads that are still being read are not waited for: their next block fails. */
  async close(): Promise<void> {
    if (!await this.#calls.close()) return;
    this.#lock.release(() => {
      if (!this.#sync) return; // Stays trusted until the next boot, and is built again then.
      this.#index.sync();
      markClean(this.#layout.statePath);
    });
    this.#index.close();
  }

  /** The key's entry; an expired one is removed on the way. */
  async #findLive(key: ObjectKey): Promise<IndexRow | undefined> {
    const row = this.#index.find(key);
    if (row === undefined || !isExpired(row.meta, this.#clock.nowMs())) return row;
    await this.#removeRow(row, "expired");
    return undefined;
  }

  /** False if somebody else removed exactly this object before. */
  async #removeRow(row: IndexRow, reason: "corrupt" | "deleted" | "expired"): Promise<boolean> {
    if (this.#calls.closed || !this.#index.remove(row)) return false;
    await this.#remover.drop([row], { reason, durable: reason === "deleted" });
    return true;
  }

  async #write(key: ObjectKey, source: StoreSource): Promise<ObjectMeta> {
    const { entry, old } = await this.#writeFile(key, source);
    if (old !== undefined) await this.#dropReplaced(old, entry.meta);
    return entry.meta;
  }

  /** Afterwards the object is on stable storage and visible, or nothing has changed. */
  async #writeFile(
    key: ObjectKey,
    source: StoreSource,
  ): Promise<{ readonly entry: IndexEntry; readonly old: IndexRow | undefined }> {
    let path = this.#layout.tempPath(key);
    const file = await this.#disk.create(path);
    const writer = new ObjectWriter(file, this.#room);
    try {
      const { meta, fileBytes } = await writeAndClose(file, () => writer.write(key, source));
      const name = this.#layout.objectName(key, meta.version);
      await this.#disk.rename(path, this.#layout.objectPath(name));
      path = this.#layout.objectPath(name);
      await this.#disk.syncFolder(this.#layout.folderOf(name));
      const entry = { key, meta, name, fileBytes };
      source.assertWanted?.();
      const old = this.#index.put(entry, { usedMs: this.#uses.now(), reservedBytes: writer.heldBytes });
      return { entry, old };
    } catch (error) {
      // The first failure is the one to tell; what cannot be removed now goes at the next start.
      await this.#disk.remove(path).catch(() => undefined);
      this.#index.release(writer.heldBytes);
      throw error;
    }
  }

  async #dropReplaced(old: IndexRow, meta: ObjectMeta): Promise<void> {
    const reason = isExpired(old.meta, this.#clock.nowMs()) ? "expired" : "replaced";
    if (old.meta.version === meta.version) return this.#remover.publish([old], reason); // One file: it was renamed over.
    // After a power loss the higher version wins. Where the clock stepped back that is the old one, so it must be gone for good before the store is acknowledged.
    const durable = old.meta.version > meta.version;
    await this.#remover.drop([old], { reason, durable }).catch((error: unknown) => {
      // The new object is in place; an old file that stays behind is removed at the next start, being the lower version.
      if (durable) throw error;
    });
  }
}

/** What `write` gives, after the file is on stable storage and closed. */
async function writeAndClose<T>(file: DiskFile, write: () => Promise<T>): Promise<T> {
  try {
    const written = await write();
    await file.sync();
    return written;
  } finally {
    await file.close();
  }
}

async function openParts(path: string): Promise<Parts> {
  const layout = new Layout(path);
  mkdirSync(path, { recursive: true });
  const lock = await FolderLock.acquire(layout.lockPath);
  try {
    if (!lock.alone) {
      const nothing = { leftovers: 0, adopted: 0, superseded: 0, corrupt: 0, missing: 0 };
      return { layout, lock, index: ObjectIndex.open(layout.indexPath), recovery: nothing };
    }
    const index = openIndex(layout);
    try {
      markRunning(layout.statePath);
      makeFolders(layout);
      const recovery = recover(layout, index);
      await lock.share();
      return { layout, lock, index, recovery };
    } catch (error) {
      index.close();
      throw error;
    }
  } catch (error) {
    lock.release(() => undefined);
    throw error;
  }
}

/** The last run's index, or an empty one that recovery fills from the files. */
function openIndex(layout: Layout): ObjectIndex {
  if (!isIndexTrusted(layout.statePath)) return ObjectIndex.create(layout.indexPath);
  try {
    return ObjectIndex.open(layout.indexPath);
  } catch {
    return ObjectIndex.create(layout.indexPath);
  }
}
