import type { Clock } from "../core/clock.ts";
import type { ObjectKey } from "../core/key.ts";
import { isExpired, type ObjectMeta } from "../core/object.ts";
import type { Publish } from "../core/publish.ts";
import type { EventMap } from "../events/catalogue.ts";
import type { L2Adapter, L2Load, ListPage, ListQuery, StoreSource, TierRemovalListener, TierUsage } from "./adapter.ts";
import { Calls } from "./calls.ts";
import { type Disk, type DiskFile, openDisk } from "./file/disk.ts";
import { faultOf } from "./file/faults.ts";
import { defaultLimitBytes, FreeSpace } from "./file/free_space.ts";
import { Identity, writeProtection } from "./file/identity.ts";
import { type IndexEntry, type IndexRow, type ObjectIndex, type ReplacedRow } from "./file/index.ts";
import type { Layout } from "./file/layout.ts";
import { openFolder, type Parts } from "./file/open_folder.ts";
import type { FolderLock } from "./file/lock.ts";
import { BlockReader } from "./file/reader.ts";
import type { Recovery } from "./file/recover.ts";
import { Remover } from "./file/remover.ts";
import type { Reserve } from "./file/reserve.ts";
import { Room } from "./file/room.ts";
import { markClean } from "./file/run_state.ts";
import { UseTimes } from "./file/use_times.ts";
import { WriteGate } from "./file/write_gate.ts";
import { ObjectWriter } from "./file/writer.ts";
import { watchSource } from "./source.ts";

/** Cleared entries that are removed in one transaction. */
const CLEAR_KEYS = 256;

/** Settings of a file adapter. */
export interface FileAdapterOptions {
  readonly name: string;
  /** The folder; made if it is not there. */
  readonly path: string;
  /** Bytes of object files at most, half-written ones included; 0 = no limit; undefined = a share of the disk. */
  readonly limitBytes: number | undefined;
  /** false: no fsync of objects. Faster; an acknowledged object survives kill -9, but not power loss. */
  readonly sync: boolean;
  readonly publish: Publish<EventMap>;
  readonly clock: Clock;
  /** Default: nobody is told. */
  readonly onRemoved?: TierRemovalListener;
  /** The file system to write and read objects with (default: the real one). */
  readonly disk?: Disk;
  /** false: the folder must be there (default true: it is made). */
  readonly mayMake?: boolean;
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
  readonly #free: FreeSpace;
  readonly #gate: WriteGate;
  readonly #identity: Identity;
  readonly #reserve: Reserve;
  #broken: string | undefined;

  private constructor(
    options: FileAdapterOptions & { readonly disk: Disk; readonly limitBytes: number },
    parts: Parts,
    free: FreeSpace,
  ) {
    this.name = options.name;
    this.#calls = new Calls(options.name);
    this.#clock = options.clock;
    this.#sync = options.sync;
    this.#disk = options.disk;
    this.#free = free;
    this.#gate = new WriteGate();
    this.#identity = new Identity(parts.layout);
    this.#reserve = parts.reserve;
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
      gate: this.#gate,
      remover: this.#remover,
      free: this.#free,
      reserve: this.#reserve,
      clock: options.clock,
    });
  }

  /** Opens the folder, recovering what a crash left behind. Throws tier_failed if it cannot be used, e.g. because another process uses it. */
  static async open(options: FileAdapterOptions): Promise<FileAdapter> {
    return await new Calls(options.name).run("Opening", async () => {
      const disk = options.disk ?? openDisk({ sync: options.sync });
      const parts = await openFolder(options);
      const { clock, path, publish, name } = options;
      const free = new FreeSpace({ disk, path, clock, hasOwnLimit: options.limitBytes !== undefined });
      const limitBytes = options.limitBytes ?? defaultLimitBytes((await disk.space(path))?.capacityBytes ?? 0);
      const adapter = new FileAdapter({ ...options, disk, limitBytes }, parts, free);
      const { corrupt } = adapter.#recovery;
      if (corrupt > 0) {
        // Whose objects they were cannot be read any more.
        publish("l2.removed", { tier: name, tenant: "", reason: "corrupt", keys: corrupt, bytes: 0 });
      }
      try {
        await free.look();
        if (parts.lock.alone) await adapter.#removeCleared();
        await adapter.#room.trim();
        return adapter;
      } catch (error) {
        await adapter.close();
        throw error;
      }
    });
  }

  /** Why this adapter is of no use any more, so that the folder must be opened anew: its files were removed or replaced, or the index broke. */
  get lost(): string | undefined {
    return this.#broken ?? this.#identity.change();
  }

  /** Why nothing can be stored for now, or undefined. */
  get trouble(): string | undefined {
    return this.lost ?? writeProtection(this.#layout);
  }

  /** What is to be done now and then: removes what has expired, in bounded steps, gives owed room back, and takes the reserve again. */
  async upkeep(): Promise<void> {
    if (this.#calls.closed || this.trouble !== undefined) return;
    await this.#run("Tidying up", async () => {
      await this.#free.look();
      await this.#room.sweep();
      await this.#gate.run(() => this.#index.settle());
      if (this.#free.headroomBytes > 0) this.#reserve.fill();
    });
  }

  /** What was found when the folder was opened; all zero if another thread had it open already. */
  get recovery(): Recovery {
    return this.#recovery;
  }

  async lookup(key: ObjectKey): Promise<ObjectMeta | undefined> {
    return await this.#run("Looking up", async () => (await this.#findLive(key))?.meta);
  }

  async load(key: ObjectKey, range?: { readonly start: number; readonly end: number }): Promise<L2Load | undefined> {
    return await this.#run("Loading", async () => {
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
          this.#index.touch(row.id, this.#uses.now());
          return { meta: row.meta, chunks: reader };
        }
        // Without its folder an object is neither damaged nor missing.
        this.#identity.assertSame();
        // Damaged or gone; or replaced since it was looked up, and then the next round finds the new one.
        await onDamage();
      }
    });
  }

  async store(key: ObjectKey, source: StoreSource): Promise<ObjectMeta> {
    const watched = watchSource(source);
    return await this.#run("Storing", () => this.#write(key, watched.source), (error) => watched.threw(error));
  }

  async delete(key: ObjectKey): Promise<boolean> {
    return await this.#run("Deleting", async () => {
      const row = await this.#findLive(key);
      return row !== undefined && await this.#removeRow(row, "deleted");
    });
  }

  async clear(tenant?: string, onInvisible: () => void = () => {}): Promise<number> {
    return await this.#run("Clearing", async () => {
      const count = await this.#room.spendReserve(() => this.#change(() => this.#index.clear(tenant)));
      onInvisible();
      await this.#removeCleared();
      return count;
    });
  }

  async list(query: ListQuery): Promise<ListPage> {
    return await this.#run("Listing", () => this.#gate.read(() => this.#index.list(query, this.#clock.nowMs())));
  }

  async usage(): Promise<TierUsage> {
    return await this.#run("Measuring", async () => {
      // What is noted in an index that has lost its folder is there for nobody.
      this.#identity.assertSame();
      const { objects, bytes } = await this.#gate.read(() => this.#index.totals());
      const { leftovers } = this.#recovery;
      const oldestMs = this.#index.oldestMs();
      return {
        objects,
        usedBytes: bytes,
        limitBytes: this.#room.usableBytes(bytes),
        oldestAgeSeconds: oldestMs === undefined ? 0 : Math.max(0, this.#clock.nowMs() - oldestMs) / 1000,
        leftoversRemoved: leftovers,
      };
    });
  }

  /** Loads that are still being read are not waited for: their next block fails. */
  async close(): Promise<void> {
    // What runs in a folder that is lost fails anyway, and others can open the folder once its lock is free.
    if (this.#calls.closed || (this.lost === undefined && !await this.#calls.close())) return;
    void this.#calls.close();
    try {
      if (this.lost === undefined) this.#lock.release(() => this.#closeIndexAsLast());
    } catch {
      // Nothing is lost by it: as the index is not noted as clean, the next start looks whether to believe it.
    }
    this.#index.close();
    this.#lock.abandon();
  }

  #closeIndexAsLast(): void {
    if (!this.#sync) return; // Stays trusted until the next boot, and is built again then.
    this.#index.sync();
    markClean(this.#layout.statePath);
  }

  /** A call that notices when the index has become useless. */
  async #run<T>(action: string, work: () => Promise<T>, spare?: (error: unknown) => boolean): Promise<T> {
    return await this.#calls.run(action, async () => {
      try {
        return await work();
      } catch (error) {
        if (faultOf(error) === "broken") {
          this.#broken = `the index is broken: ${error instanceof Error ? error.message : ""}`;
        }
        throw error;
      }
    }, spare);
  }

  /** A change of the index, once nobody else has its lock; not in an index that has lost its folder. */
  async #change<T>(change: () => T): Promise<T> {
    return await this.#gate.run(() => {
      this.#identity.assertSame();
      return change();
    });
  }

  /** Removes what was cleared, in short steps; durable when it ends. */
  async #removeCleared(): Promise<void> {
    const folders = new Set<string>();
    for (;;) {
      const rows = await this.#room.spendReserve(() => this.#change(() => this.#index.takeCleared(CLEAR_KEYS)));
      if (rows.length === 0) break;
      this.#remover.publish(rows, "cleared");
      for (const { name } of rows) folders.add(this.#layout.folderOf(name));
      await this.#remover.removeFiles(rows);
    }
    await this.#remover.sync(folders);
  }

  /** The key's entry; an expired one is removed on the way. */
  async #findLive(key: ObjectKey): Promise<IndexRow | undefined> {
    const row = await this.#gate.read(() => this.#index.find(key));
    if (row === undefined || !isExpired(row.meta, this.#clock.nowMs())) return row;
    if (this.#removeAtOnce(row)) await this.#remover.drop([row], { reason: "expired", durable: false });
    return undefined;
  }

  /** Whoever reads waits for no lock and needs no room: what cannot be removed now is swept later. */
  #removeAtOnce(row: IndexRow): boolean {
    try {
      return !this.#calls.closed && this.#index.remove(row);
    } catch (error) {
      if (faultOf(error) === "other") throw error;
      return false;
    }
  }

  /** False if somebody else removed exactly this object before. */
  async #removeRow(row: IndexRow, reason: "corrupt" | "deleted"): Promise<boolean> {
    if (this.#calls.closed) return false;
    const isRemoved = await this.#room.spendReserve(() => this.#change(() => this.#index.remove(row)));
    if (isRemoved) await this.#remover.drop([row], { reason, durable: reason === "deleted" });
    return isRemoved;
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
  ): Promise<{ readonly entry: IndexEntry; readonly old: ReplacedRow | undefined }> {
    let path = this.#layout.tempPath(key);
    const file = await this.#room.whenFull(() => this.#disk.create(path));
    const writer = new ObjectWriter(file, this.#room);
    try {
      const { meta, fileBytes } = await writeAndClose(file, () => writer.write(key, source));
      const name = this.#layout.objectName(key, meta.version);
      const finalPath = this.#layout.objectPath(name);
      await this.#room.whenFull(() => this.#disk.rename(path, finalPath));
      path = finalPath;
      await this.#disk.syncFolder(this.#layout.folderOf(name));
      const entry = { key, meta, name, fileBytes };
      const put = (): ReplacedRow | undefined =>
        this.#index.transaction(() => {
          // Asked once the lock is there: nothing is awaited between this and the commit.
          source.assertWanted?.();
          return this.#index.put(entry, { usedMs: this.#uses.now(), reservedBytes: writer.heldBytes });
        });
      const old = await this.#room.whenFull(() => this.#change(put));
      return { entry, old };
    } catch (error) {
      // The first failure is the one to tell; what cannot be removed now goes at the next start.
      await this.#disk.remove(path).catch(() => undefined);
      this.#index.releaseSoon(writer.heldBytes);
      throw error;
    }
  }

  async #dropReplaced(old: ReplacedRow, meta: ObjectMeta): Promise<void> {
    const isOver = isExpired(old.meta, this.#clock.nowMs());
    const reason = old.isCleared ? "cleared" : isOver ? "expired" : "replaced";
    if (old.meta.version === meta.version) return this.#remover.publish([old], reason); // One file: it was renamed over.
    // After a power loss the higher version wins. Where the clock stepped back that is the old one, so it must be gone for good before the store is acknowledged.
    const durable = old.meta.version > meta.version;
    await this.#remover.drop([old], { reason, durable }).catch((error: unknown) => {
      // The new object is in place; an old file that stays behind is removed at the next start, being the lower version.
      if (durable) throw error;
    });
  }
}

/** What `write` gives, after the file is on stable storage and closed. The first failure is the one to tell. */
async function writeAndClose<T>(file: DiskFile, write: () => Promise<T>): Promise<T> {
  let written: T;
  try {
    written = await write();
    await file.sync();
  } catch (error) {
    await file.close().catch(() => undefined);
    throw error;
  }
  await file.close();
  return written;
}
