import { mkdirSync } from "node:fs";
import type { Clock } from "../../core/clock.ts";
import { VitrineError } from "../../core/errors.ts";
import { keyId, type ObjectKey } from "../../core/key.ts";
import { isExpired } from "../../core/object.ts";
import type { Publish } from "../../core/publish.ts";
import type { EventMap } from "../../events/catalogue.ts";
import type { ListPage, ListQuery, TierRemovalListener, TierUsage } from "../adapter.ts";
import { Calls } from "../calls.ts";
import { type BlockingDisk, systemDisk } from "./blocking_disk.ts";
import { Commits, type PendingChange } from "./commits.ts";
import { makeFolders } from "./folders.ts";
import { ObjectIndex } from "./index.ts";
import { Layout } from "./layout.ts";
import { FolderLock } from "./lock.ts";
import type { IndexRow } from "./place.ts";
import { Reclaim } from "./reclaim.ts";
import { encodeRecord } from "./record.ts";
import { recover, type Recovery } from "./recover.ts";
import { Removals } from "./removals.ts";
import { Segments } from "./segments.ts";
import { Space } from "./space.ts";
import type { Change, StoreCalls } from "./store_calls.ts";

/** Settings of a FileStore. */
export interface FileStoreOptions {
  /** The tier's name. */
  readonly name: string;
  /** The folder; made if it is not there. */
  readonly path: string;
  /** Bytes of segments and object files at most, half-written ones included; 0 = no limit. */
  readonly limitBytes: number;
  /** false: nothing is synced. Faster; an acknowledged object survives kill -9, but not power loss. */
  readonly sync: boolean;
  readonly publish: Publish<EventMap>;
  readonly clock: Clock;
  /** Default: nobody is told. */
  readonly onRemoved?: TierRemovalListener | undefined;
  /** Told of every segment whose file is gone. Default: nobody is. */
  readonly onSegmentDropped?: ((segment: number) => void) | undefined;
  /** Default: the real file system. */
  readonly disk?: BlockingDisk | undefined;
}

const MIB = 1024 * 1024;
const MAX_SEGMENT_BYTES = 32 * MIB;
/** The most changes in one commit, and the most bytes of their records. */
const MAX_BATCH = 512;
const MAX_BATCH_BYTES = 8 * MIB;
/** How long changes for which nobody waits may gather. */
const GATHER_MS = 2;
/** Entries that are removed in one step when many are: others get their turn in between. */
const SLICE = 500;

/** Objects in a folder, small ones in segments and large ones in files, for one thread that owns it. Every call blocks as long as the disk takes. */
export class FileStore implements StoreCalls {
  /** What was found when the folder was opened. */
  readonly recovery: Recovery;
  readonly #calls: Calls;
  readonly #options: FileStoreOptions;
  readonly #lock: FolderLock;
  readonly #index: ObjectIndex;
  readonly #segments: Segments;
  readonly #removals: Removals;
  readonly #reclaim: Reclaim;
  readonly #space: Space;
  readonly #commits: Commits;
  /** Clears that run. They go by ids, which uses would change. */
  #clearing = 0;
  #pending: PendingChange[] = [];
  /** Keys that a pending change is about: whoever asks for one of them afterwards must see the change. */
  #pendingKeys: Set<string> = new Set();
  #timer: { readonly cancel: () => void; readonly isUrgent: boolean } | undefined;

  /** Opens the folder, recovering what a crash left behind. Throws tier_failed if it cannot be used, e.g. because another process uses it. */
  constructor(options: FileStoreOptions) {
    const { name, path, clock, publish, disk = systemDisk } = options;
    const layout = new Layout(path);
    mkdirSync(path, { recursive: true });
    this.#options = options;
    this.#calls = new Calls(name);
    this.#lock = new FolderLock(layout.lockPath);
    try {
      makeFolders(layout);
      const syncing = options.sync ? disk : withoutSync(disk);
      this.#segments = new Segments({ disk: syncing, layout, segmentBytes: segmentBytesFor(options.limitBytes) });
      this.#segments.open();
      this.#index = openIndex(layout.indexPath, options);
      try {
        this.recovery = recover({ layout, index: this.#index, segments: this.#segments, disk });
        this.#removals = new Removals({ tier: name, disk: syncing, layout, publish, onRemoved: options.onRemoved });
        const parts = {
          tier: name,
          index: this.#index,
          segments: this.#segments,
          removals: this.#removals,
          clock,
          publish,
          layout,
        };
        this.#reclaim = new Reclaim({ ...parts, onDropped: (segment) => options.onSegmentDropped?.(segment) });
        this.#space = new Space({ ...parts, limitBytes: options.limitBytes, reclaim: this.#reclaim });
        this.#commits = new Commits({ ...parts, space: this.#space, reclaim: this.#reclaim, disk: syncing });
        this.#announceRecovery();
        this.#reclaim.dropEmpty();
        this.#space.trim();
      } catch (error) {
        this.#index.close();
        throw error;
      }
    } catch (error) {
      this.#lock.release();
      throw error;
    }
  }

  async find(key: ObjectKey, use: boolean): Promise<IndexRow | undefined> {
    return await this.#calls.run("look up object", () => {
      if (this.#pendingKeys.has(keyId(key))) this.#flush();
      const row = this.#index.find(key);
      const nowMs = this.#options.clock.nowMs();
      if (row === undefined) return undefined;
      if (isExpired(row.meta, nowMs)) {
        this.#space.removeExpired(SLICE);
        return undefined;
      }
      if (use && this.#clearing === 0) this.#index.touch(row.id);
      return row;
    });
  }

  change(change: Change): Promise<boolean> {
    return this.#calls.run("change object", () =>
      new Promise((resolve, reject) => {
        this.#pending.push({ change, resolve, reject });
        this.#pendingKeys.add(keyId(change.kind === "damaged" ? change.row.key : change.key));
        this.#schedule(change.kind === "damaged" || change.durable || this.#pending.length >= MAX_BATCH);
      }));
  }

  async hold(bytes: number, heldBytes: number): Promise<number> {
    return await this.#calls.run("hold room", () => this.#space.hold(bytes, heldBytes));
  }

  release(bytes: number): void {
    this.#space.release(bytes);
  }

  async relieve(bytes: number): Promise<boolean> {
    return await this.#calls.run("free room", () => this.#space.free(bytes));
  }

  async clear(tenant: string | undefined): Promise<number> {
    this.#clearing += 1;
    try {
      return await this.#calls.run("clear tier", () => this.#clear(tenant));
    } finally {
      this.#clearing -= 1;
    }
  }

  async #clear(tenant: string | undefined): Promise<number> {
    this.#flush();
    this.#index.flushTouched();
    const last = this.#index.lastId;
    this.#beginClear(tenant);
    let count = 0;
    const cleared = new Map<string, { keys: number; bytes: number }>();
    for (let after = 0; after < last;) {
      const rows = this.#index.entries(tenant, { after, last, limit: SLICE });
      after = rows.at(-1)?.id ?? last;
      this.#removeCleared(rows, cleared);
      count += rows.length;
      if (rows.length > 0) await nextTurn();
    }
    this.#removals.sync();
    this.#reclaim.dropEmpty();
    for (const [name, { keys, bytes: size }] of cleared) {
      this.#options.publish("l2.removed", {
        tier: this.#options.name,
        tenant: name,
        reason: "cleared",
        keys,
        bytes: size,
      });
    }
    return count;
  }

  async list(query: ListQuery): Promise<ListPage> {
    return await this.#calls.run("list objects", () => {
      this.#flush();
      return this.#index.list(query, this.#options.clock.nowMs());
    });
  }

  async usage(): Promise<TierUsage> {
    return await this.#calls.run("measure tier", () => {
      const oldestMs = this.#index.oldestMs();
      return {
        objects: this.#index.totals.objects,
        usedBytes: this.#space.usedBytes,
        limitBytes: this.#space.limitBytes,
        oldestAgeSeconds: oldestMs === undefined ? 0 : Math.max(0, this.#options.clock.nowMs() - oldestMs) / 1000,
        leftoversRemoved: this.recovery.leftovers,
      };
    });
  }

  /** Removes a bounded number of objects whose time is up, and moves the records of one half-empty segment together; to be called now and then. */
  tidy(): void {
    if (this.#calls.closed) return;
    this.#space.removeExpired(SLICE);
    this.#reclaim.compactSparsest();
  }

  async close(): Promise<void> {
    this.#flush();
    if (!await this.#calls.close()) return;
    try {
      this.#segments.close();
      if (this.#options.sync) this.#index.sync();
    } finally {
      this.#index.close();
      this.#lock.release();
    }
  }

  #announceRecovery(): void {
    const { corrupt } = this.recovery;
    if (corrupt === 0) return;
    // Whose objects they were cannot be read any more.
    this.#options.publish("l2.removed", {
      tier: this.#options.name,
      tenant: "",
      reason: "corrupt",
      keys: corrupt,
      bytes: 0,
    });
  }

  /** The log must say that what came before is gone, before anything that comes after: a rebuild reads it in order. */
  #beginClear(tenant: string | undefined): void {
    if (this.#segments.ids.length === 0) return;
    if (tenant === undefined) return this.#segments.seal();
    const { id } = this.#segments.append([encodeRecord({ kind: "clear", tenant })]);
    this.#segments.sync();
    this.#index.transaction(() => {
      this.#index.addEnd(id, { kind: "clear", key: { tenant, key: "" } });
      this.#index.noteSegment(id, this.#segments.bytesOf(id));
    });
  }

  #removeCleared(rows: readonly IndexRow[], cleared: Map<string, { keys: number; bytes: number }>): void {
    this.#index.transaction(() => {
      for (const row of rows) this.#index.remove(row);
    });
    this.#removals.removeFiles(rows);
    for (const { key, place, bytes, meta } of rows) {
      this.#reclaim.removed(place, bytes);
      this.#options.onRemoved?.(key, "cleared");
      const sum = cleared.get(key.tenant) ?? { keys: 0, bytes: 0 };
      cleared.set(key.tenant, { keys: sum.keys + 1, bytes: sum.bytes + meta.sizeBytes });
    }
    this.#reclaim.dropEmpty();
  }

  /** A commit follows, at once if somebody waits for it, else when more may have gathered. */
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
      if (count >= MAX_BATCH || bytes >= MAX_BATCH_BYTES) break;
      if (change.kind === "record") bytes += change.payload.length;
      count += 1;
    }
    const batch = this.#pending.slice(0, count);
    this.#pending = this.#pending.slice(count);
    this.#pendingKeys = new Set(
      this.#pending.map(({ change }) => keyId(change.kind === "damaged" ? change.row.key : change.key)),
    );
    this.#commits.commit(batch);
    if (this.#pending.length > 0) this.#schedule(true);
  }

  #flush(): void {
    while (this.#pending.length > 0) this.#commitNext();
    this.#timer?.cancel();
    this.#timer = undefined;
  }
}

/** Objects up to this size lie in segments; 0 where the limit is too small for segments. */
export function recordLimitBytes(limitBytes: number): number {
  return limitBytes === 0 || limitBytes >= 8 * MIB ? 128 * 1024 : 0;
}

/** A thirty-second of the limit, so that one segment more or less does not matter. */
function segmentBytesFor(limitBytes: number): number {
  return limitBytes === 0 ? MAX_SEGMENT_BYTES : Math.min(MAX_SEGMENT_BYTES, Math.max(256 * 1024, limitBytes / 32));
}

/** SQLite's words for a file that is no sound index. */
const UNSOUND = /not a database|malformed|schema version|no such table|file format/;

/** The last run's index, or an empty one that recovery fills from the folder if there is none that can be used. */
function openIndex(path: string, options: { readonly sync: boolean }): ObjectIndex {
  try {
    return ObjectIndex.open(path, options);
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    if (UNSOUND.test(why)) return ObjectIndex.create(path, options);
    throw new VitrineError("tier_failed", `open tier: ${path}: ${why}`, { cause });
  }
}

function withoutSync(disk: BlockingDisk): BlockingDisk {
  return { ...disk, sync: () => {}, syncPath: () => {}, syncFolder: () => {} };
}

function nextTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
