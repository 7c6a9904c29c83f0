import { existsSync, mkdirSync } from "node:fs";
import type { Clock } from "../../../core/clock.ts";
import { causeText, VitrineError } from "../../../core/errors.ts";
import type { Publish } from "../../../core/events.ts";
import { isExpired, keyId, type ObjectKey } from "../../../core/object.ts";
import type { EventMap } from "../../../events/catalogue.ts";
import type { ListPage, ListQuery, TierRemovalListener, TierUsage } from "../../adapter.ts";
import { Calls } from "../../calls.ts";
import { type BlockingDisk, systemDisk, withoutSync } from "../disk.ts";
import type { Change, IndexRow, StoreCalls } from "../folder_calls.ts";
import { Layout, makeFolders, setAside } from "../layout.ts";
import { type Clear, Clears } from "./clears.ts";
import { Commits, type PendingChange } from "./commits.ts";
import { defaultLimitBytes, FreeSpace, Reserve } from "./free_space.ts";
import { FolderLock, Identity, writeProtection } from "./identity.ts";
import type { ObjectIndex } from "./index.ts";
import { openIndex, removeIndex } from "./open_index.ts";
import { Reclaim, Removals } from "./reclaim.ts";
import { encodeRecord } from "./record.ts";
import { recover, type Recovery } from "./recover.ts";
import { Segments } from "./segments.ts";
import { Space } from "./space.ts";

/** Options of a FileStore. */
export interface FileStoreOptions {
  readonly name: string;
  readonly path: string;
  /**
   * Maximum bytes of segments and object files, including unfinished ones; 0: no limit; undefined: a share of the disk.
   */
  readonly limitBytes: number | undefined;
  /** False: nothing is synced. Faster; an acknowledged object survives kill -9, but not power loss. */
  readonly sync: boolean;
  readonly publish: Publish<EventMap>;
  readonly clock: Clock;
  /** True if the folder is created when it does not exist (default). */
  readonly mayMake?: boolean | undefined;
  /** Default: none. */
  readonly onRemoved?: TierRemovalListener | undefined;
  /** Called with each segment whose file was removed. Default: none. */
  readonly onSegmentDropped?: ((segment: number) => void) | undefined;
  /** Default: the real file system. */
  readonly disk?: BlockingDisk | undefined;
  /** Length at which a segment is full (default: depends on the limit). */
  readonly segmentBytes?: number | undefined;
}

const MIB = 1024 * 1024;
const MIN_SEGMENT_BYTES = 4096;
const MAX_SEGMENT_BYTES = 16 * MIB;
/** Maximum number of changes in one commit, and maximum bytes of their records. */
const MAX_BATCH = 512;
const MAX_BATCH_BYTES = 8 * MIB;
/** Milliseconds for which changes that need not be durable may gather. */
const GATHER_MS = 2;
/** Maximum number of expired objects that are removed at once; other calls run in between. */
const SLICE = 128;

/**
 * Stores objects in a folder, small ones in segments and large ones in files, for the one thread that owns it. Calls
 * block for disk operations.
 */
export class FileStore implements StoreCalls {
  /** The result of the recovery when the folder was opened. */
  readonly recovery: Recovery;
  /** Why the index was built again when the folder was opened; undefined if it was not, or once that is reported. */
  indexDamage: string | undefined;
  readonly #calls: Calls;
  readonly #options: FileStoreOptions;
  readonly #layout: Layout;
  readonly #lock: FolderLock;
  readonly #identity: Identity;
  readonly #index: ObjectIndex;
  readonly #segments: Segments;
  readonly #removals: Removals;
  readonly #reclaim: Reclaim;
  readonly #reserve: Reserve;
  readonly #space: Space;
  readonly #commits: Commits;
  readonly #clears: Clears;
  readonly #batchBytes: number;
  #pending: PendingChange[] = [];
  /** Keys of pending changes: later calls for one of them must see the change. */
  #pendingKeys: Set<string> = new Set();
  #timer: { readonly cancel: () => void; readonly isUrgent: boolean } | undefined;

  /**
   * Opens the folder and recovers from a crash. Throws tier_failed if it cannot be used, e.g. because another process
   * uses it.
   */
  constructor(options: FileStoreOptions) {
    const { name, path, clock, publish, disk = systemDisk } = options;
    const layout = new Layout(path);
    if (options.mayMake === false && !existsSync(path)) {
      throw new VitrineError("tier_failed", `open tier: ${path} is not there`);
    }
    opening(path, () => mkdirSync(path, { recursive: true }));
    for (const own of [layout.lockPath, layout.indexPath]) setAside(own, "file");
    this.#options = options;
    this.#layout = layout;
    this.#calls = new Calls(name);
    this.#lock = new FolderLock(layout.lockPath);
    try {
      makeFolders(layout);
      const syncing = options.sync ? disk : withoutSync(disk);
      const limitBytes = options.limitBytes ?? defaultLimitBytes(disk.space(path)?.capacityBytes ?? 0);
      const segmentBytes = options.segmentBytes ?? segmentBytesFor(limitBytes);
      const segments = new Segments({ disk: syncing, layout, segmentBytes });
      segments.open();
      this.#batchBytes = limitBytes === 0 ? MAX_BATCH_BYTES : Math.min(MAX_BATCH_BYTES, limitBytes / 4);
      this.#segments = segments;
      this.#index = openIndex(layout.indexPath, options);
      try {
        const index = this.#index;
        this.recovery = recover({ layout, index, segments, disk });
        this.#identity = new Identity(layout);
        this.#removals = new Removals({ tier: name, disk: syncing, layout, publish, onRemoved: options.onRemoved });
        const parts = { tier: name, index, segments, removals: this.#removals, clock, publish, layout, disk: syncing };
        this.#reclaim = new Reclaim({ ...parts, onDropped: (segment) => options.onSegmentDropped?.(segment) });
        this.#clears = new Clears({ index, removals: this.#removals, reclaim: this.#reclaim });
        this.#reserve = new Reserve(layout.reservePath);
        const free = new FreeSpace({ disk, path, clock, hasOwnLimit: options.limitBytes !== undefined });
        const rooms = { ...parts, reclaim: this.#reclaim, clears: this.#clears, identity: this.#identity };
        this.#space = new Space({ ...rooms, limitBytes, free, reserve: this.#reserve });
        this.#commits = new Commits({ ...rooms, space: this.#space });
        this.#announceRecovery();
        this.#space.tidy(() => this.#reclaim.dropEmpty());
        this.#space.trim();
        this.#reserve.fill();
      } catch (error) {
        this.#index.close();
        throw error;
      }
    } catch (error) {
      this.#lock.release();
      throw openingFailed(path, error);
    }
  }

  /** The reason why the folder is lost: it was removed, replaced or unmounted from outside; undefined if it was not. */
  get lost(): string | undefined {
    return this.#identity.change();
  }

  /** The reason why the folder is not writable; undefined if it is. */
  get trouble(): string | undefined {
    return writeProtection(this.#layout);
  }

  async find(key: ObjectKey, use: boolean): Promise<IndexRow | undefined> {
    return await this.#calls.run("look up object", () => {
      const row = this.#findLive(key);
      if (use && row !== undefined) this.#index.use(row);
      return row;
    });
  }

  async has(keys: readonly ObjectKey[]): Promise<readonly boolean[]> {
    return await this.#calls.run("look up objects", () => keys.map((key) => this.#findLive(key) !== undefined));
  }

  #findLive(key: ObjectKey): IndexRow | undefined {
    if (this.#pendingKeys.has(keyId(key))) this.#flush();
    const row = this.#index.find(key);
    if (row === undefined || this.#clears.isHidden(row)) return undefined;
    if (!isExpired(row.meta, this.#options.clock.nowMs())) return row;
    this.#space.removeExpired(SLICE);
    return undefined;
  }

  change(change: Change): Promise<boolean> {
    return this.#calls.run("change object", () =>
      new Promise((resolve, reject) => {
        this.#pending.push({ change, resolve, reject });
        this.#pendingKeys.add(idOf(change));
        this.#schedule(change.kind === "damaged" || change.durable || this.#pending.length >= MAX_BATCH);
      }));
  }

  damaged(row: IndexRow): Promise<boolean> {
    return this.change({ kind: "damaged", row });
  }

  async hold(bytes: number, heldBytes: number): Promise<number> {
    return await this.#calls.run("hold room", () => this.#space.hold(bytes, heldBytes));
  }

  release(bytes: number): void {
    this.#space.release(bytes);
  }

  async relieve(bytes: number): Promise<boolean> {
    return await this.#calls.run("free room", () => this.#space.relieve(bytes));
  }

  async clear(tenant: string | undefined, onInvisible: () => void = () => {}): Promise<number> {
    return await this.#calls.run("clear tier", async () => {
      this.#flush();
      const lastId = this.#beginClear(tenant);
      if (lastId === undefined) return 0;
      const clear = this.#clears.begin(tenant, lastId);
      try {
        onInvisible();
        while (this.#space.relieved(0, () => this.#clears.step(clear))) await nextTurn();
        this.#index.endClear(tenant, lastId);
        if (this.#index.totals.objects === 0) this.#space.sealAndReclaim();
        return this.#cleared(clear);
      } finally {
        this.#clears.end(clear);
      }
    });
  }

  async list(query: ListQuery): Promise<ListPage> {
    return await this.#calls.run("list objects", () => {
      this.#flush();
      const hiddenUpTo = this.#clears.hiddenUpTo(query.tenant);
      return this.#index.list(query, { nowMs: this.#options.clock.nowMs(), hiddenUpTo });
    });
  }

  async keys(after: number, limit: number): Promise<{ readonly keys: readonly ObjectKey[]; readonly last: number }> {
    return await this.#calls.run("list keys", () => {
      const rows = this.#index.entries(undefined, { after, last: Number.MAX_SAFE_INTEGER, limit });
      return { keys: rows.map(({ key }) => key), last: rows.at(-1)?.id ?? after };
    });
  }

  /** The part of `usage` that is cheap. */
  get totals(): Pick<TierUsage, "objects" | "usedBytes" | "limitBytes"> {
    const { usedBytes, limitBytes } = this.#space;
    return { objects: this.#index.totals.objects, usedBytes, limitBytes };
  }

  async usage(): Promise<TierUsage> {
    return await this.#calls.run("measure tier", () => {
      const oldestMs = this.#index.oldestMs();
      return {
        ...this.totals,
        oldestAgeSeconds: oldestMs === undefined ? 0 : Math.max(0, this.#options.clock.nowMs() - oldestMs) / 1000,
        leftoversRemoved: this.recovery.leftovers,
      };
    });
  }

  /** Removes a bounded number of expired objects and compacts one sparse segment; call it periodically. */
  tidy(): void {
    if (this.#calls.closed) return;
    this.#space.removeExpired(SLICE);
    // Entries hidden by a clear must not be moved: their records would come after the record of the clear.
    if (this.#clears.first !== undefined) return;
    this.#space.tidy(() => {
      this.#segments.sealIfSparse();
      this.#reclaim.compactSparsest();
    });
    this.#reserve.fill();
  }

  /** Commits the pending changes, syncs and closes. Throws if that fails; the folder is closed all the same. */
  async close(): Promise<void> {
    this.#flush();
    if (!await this.#calls.close()) return;
    try {
      this.#segments.close();
      // On a full disk the index stays in its write-ahead log, and the next start reads it from there.
      if (this.#options.sync) this.#space.tidy(() => this.#index.finish(this.#segments.liveBytes));
    } finally {
      this.#release();
    }
  }

  /** Stops using a folder that is lost: pending changes fail, and nothing more is written. */
  abandon(why: string): void {
    this.#timer?.cancel();
    for (const { reject } of this.#pending.splice(0)) reject(new VitrineError("tier_failed", `use tier: ${why}`));
    void this.#calls.close();
    this.#segments.abandon();
    this.#release();
  }

  /** Stops using a folder whose index is damaged, and removes the index: the next owner builds it from the segments. */
  abandonIndex(why: string): void {
    this.abandon(why);
    removeIndex(this.#layout.indexPath);
  }

  #release(): void {
    try {
      this.#index.close();
    } finally {
      this.#lock.release();
    }
  }

  #announceRecovery(): void {
    const { corrupt } = this.recovery;
    if (corrupt === 0) return;
    const { name: tier, publish } = this.#options;
    // The tenants of damaged objects are unknown.
    publish("l2.removed", { tier, tenant: "", reason: "corrupt", keys: corrupt, bytes: 0 });
  }

  /**
   * Records a clear durably in the log, because a rebuild of the index reads the segments in order. Returns the last id
   * that is cleared; undefined if there is nothing to clear.
   */
  #beginClear(tenant: string | undefined): number | undefined {
    if (this.#segments.areNone) return undefined;
    const record = encodeRecord({ kind: "clear", tenant });
    return this.#space.relieved(record.length, () => {
      const { id } = this.#segments.append([record]);
      this.#segments.sync();
      this.#segments.noteClear(id);
      const segment = this.#segments.get(id);
      return this.#index.transaction(() => {
        if (segment !== undefined) this.#index.noteSegment(id, segment);
        return this.#index.beginClear(tenant);
      });
    });
  }

  /** Publishes the objects that a clear has removed; returns their number. */
  #cleared({ removed }: Clear): number {
    const { name: tier, publish } = this.#options;
    let count = 0;
    for (const [tenant, { keys, bytes }] of removed) {
      count += keys;
      publish("l2.removed", { tier, tenant, reason: "cleared", keys, bytes });
    }
    return count;
  }

  /** Schedules a commit: at once if urgent, otherwise after a moment in which more changes may gather. */
  #schedule(isUrgent: boolean): void {
    if (this.#timer?.isUrgent === true || (this.#timer !== undefined && !isUrgent)) return;
    this.#timer?.cancel();
    const run = (): void => {
      this.#timer = undefined;
      this.#commitNext();
    };
    if (isUrgent) {
      const immediate = setImmediate(run);
      this.#timer = { isUrgent, cancel: () => clearImmediate(immediate) };
    } else {
      const timer = setTimeout(run, GATHER_MS);
      this.#timer = { isUrgent, cancel: () => clearTimeout(timer) };
    }
  }

  #commitNext(): void {
    let bytes = 0;
    let count = 0;
    for (const { change } of this.#pending) {
      if (count >= MAX_BATCH || bytes >= this.#batchBytes) break;
      if (change.kind === "record") bytes += change.payload.length;
      count += 1;
    }
    const batch = this.#pending.slice(0, count);
    this.#pending = this.#pending.slice(count);
    this.#pendingKeys = new Set(this.#pending.map(({ change }) => idOf(change)));
    this.#commits.commit(batch);
    if (this.#pending.length > 0) this.#schedule(true);
  }

  #flush(): void {
    while (this.#pending.length > 0) this.#commitNext();
    this.#timer?.cancel();
    this.#timer = undefined;
  }
}

/** Returns the maximum size of objects in segments; 0 if the limit is too small for segments. */
export function recordLimitBytes(limitBytes: number): number {
  return limitBytes === 0 || limitBytes >= 8 * MIB ? 128 * 1024 : 0;
}

/** A thirty-second of the limit, so that one segment more or less does not matter. */
function segmentBytesFor(limitBytes: number): number {
  return limitBytes === 0
    ? MAX_SEGMENT_BYTES
    : Math.min(MAX_SEGMENT_BYTES, Math.max(MIN_SEGMENT_BYTES, limitBytes / 32));
}

function opening(path: string, work: () => void): void {
  try {
    work();
  } catch (error) {
    throw openingFailed(path, error);
  }
}

function openingFailed(path: string, error: unknown): VitrineError {
  if (error instanceof VitrineError) return error;
  return new VitrineError("tier_failed", `open tier: ${path}: ${causeText(error)}`, { cause: error });
}

function idOf(change: Change): string {
  return keyId(change.kind === "damaged" ? change.row.key : change.key);
}

function nextTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
