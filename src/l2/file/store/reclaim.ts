import { crc32 } from "node:zlib";
import type { Publish } from "../../../core/events.ts";
import type { EventMap } from "../../../events/catalogue.ts";
import type { TierRemovalListener, TierRemovalReason } from "../../adapter.ts";
import { reportRemoved } from "../../reports.ts";
import type { BlockingDisk } from "../disk.ts";
import type { IndexEntry, IndexRow } from "../folder_calls.ts";
import type { Layout } from "../layout.ts";
import type { ObjectIndex } from "./index.ts";
import { decodeRecord, encodeRecord, SEGMENT_HEADER_BYTES } from "./record.ts";
import { scanRecords } from "./recover.ts";
import type { Segments } from "./segments.ts";
import { keyId, type ObjectKey } from "../../../core/object.ts";

/** Options of Reclaim. */
export interface ReclaimOptions {
  readonly tier: string;
  readonly publish: Publish<EventMap>;
  readonly index: ObjectIndex;
  readonly segments: Segments;
  readonly removals: Removals;
  /** Called with each segment whose file was removed, so that readers close it. */
  readonly onDropped: (segment: number) => void;
}

/** A live record with its bytes. */
interface Live {
  readonly row: IndexRow;
  readonly bytes: Uint8Array;
}

/**
 * Reclaims the room of dead records. The oldest segment can be dropped once it has no live records. A later one is
 * compacted first: its live records are moved to the end of the log, with a tombstone for each of its keys that has no
 * object. Without the tombstones an older segment would bring an older object back if the index is lost.
 */
export class Reclaim {
  readonly #options: ReclaimOptions;

  constructor(options: ReclaimOptions) {
    this.#options = options;
  }

  /** Records that an entry has left the index. */
  removed({ record }: IndexRow): void {
    this.#options.segments.addLive(record.segment, -record.bytes);
  }

  /** Drops the oldest segments as long as they have no live records. */
  dropEmpty(): void {
    const { segments } = this.#options;
    for (let id = segments.emptyOldest(); id !== undefined; id = segments.emptyOldest()) this.#drop(id, 0);
  }

  /**
   * Drops the oldest segment with all its objects: for a disk that is so full that not even removals can be recorded.
   */
  dropOldest(): void {
    const { index, segments, removals, onDropped } = this.#options;
    const [id] = segments.ids;
    if (id === undefined || id === segments.pinned) return;
    const rows = index.inSegment(id);
    removals.removeFiles(rows);
    segments.drop(id);
    index.transaction(() => index.forgetSegment(id));
    removals.publish(rows, "capacity");
    onDropped(id);
  }

  /**
   * Compacts the sealed segment that frees most. Returns false if no segment is half dead, or if appended records are
   * not in the index yet: ids must grow with the log.
   */
  compactSparsest(): boolean {
    const { segments } = this.#options;
    if (segments.pinned !== undefined) return false;
    for (let id = segments.sparsest(); id !== undefined; id = segments.sparsest()) {
      if (this.#compact(id)) return true;
    }
    return false;
  }

  /** Rewrites the records of entries at the end of the log, durably. */
  moveToEnd(rows: readonly IndexRow[]): void {
    const { segments } = this.#options;
    const moved: Live[] = [];
    const damaged: IndexRow[] = [];
    for (const row of rows) {
      const { segment, offset, bytes: length } = row.record;
      const bytes = segments.read(segment, offset, length);
      if (bytes !== undefined && isRecordOf(bytes, row)) moved.push({ row, bytes });
      else damaged.push(row);
    }
    this.#remove(damaged);
    this.#move(moved, []);
  }

  /** Compacts a segment; returns false if it must stay. */
  #compact(id: number): boolean {
    const { index, segments } = this.#options;
    const all = segments.read(id, 0, segments.bytesOf(id)) ?? new Uint8Array();
    const ended = this.#endedIn(id, all);
    if (ended === undefined) return false;
    const moved: Live[] = [];
    const damaged: IndexRow[] = [];
    for (const row of index.inSegment(id)) {
      const bytes = all.subarray(row.record.offset, row.record.offset + row.record.bytes);
      if (isRecordOf(bytes, row)) moved.push({ row, bytes });
      else damaged.push(row);
    }
    this.#remove(damaged);
    if (segments.hasOlder(id)) { for (const { key } of damaged) ended.set(keyId(key), key); }
    this.#move(moved, [...ended.values()]);
    this.#drop(id, moved.reduce((sum, { bytes }) => sum + bytes.length, 0));
    return true;
  }

  /**
   * Returns the keys of a segment that have no object but may have a record in an older segment; undefined if the
   * segment contains a clear.
   */
  #endedIn(id: number, all: Uint8Array): Map<string, ObjectKey> | undefined {
    const { index, segments } = this.#options;
    const ended = new Map<string, ObjectKey>();
    if (!segments.hasOlder(id)) return ended;
    const range = { start: SEGMENT_HEADER_BYTES, end: all.length };
    for (const { head } of scanRecords((position, length) => all.subarray(position, position + length), range)) {
      if (head.kind === "clear") {
        segments.noteClear(id);
        return undefined;
      }
      const name = keyId(head.key);
      if (!ended.has(name) && index.find(head.key) === undefined) ended.set(name, head.key);
    }
    return ended;
  }

  #remove(damaged: readonly IndexRow[]): void {
    const { index, removals } = this.#options;
    if (damaged.length === 0) return;
    index.transaction(() => {
      for (const row of damaged) index.remove(row);
    });
    for (const row of damaged) this.removed(row);
    removals.removeFiles(damaged);
    removals.publish(damaged, "corrupt");
  }

  #move(moved: readonly Live[], ended: readonly ObjectKey[]): void {
    const { index, segments } = this.#options;
    const buffers = [
      ...moved.map(({ bytes }) => bytes),
      ...ended.map((key) => encodeRecord({ kind: "tombstone", key })),
    ];
    if (buffers.length === 0) return;
    const to = segments.append(buffers);
    // The index must not be ahead of the log: after a power loss it would point to records that are not there, although
    // the old ones are.
    segments.sync();
    index.transaction(() => {
      let offset = to.position;
      for (const { row, bytes } of moved) {
        index.move(row, { segment: to.id, offset });
        offset += bytes.length;
      }
      const segment = segments.get(to.id);
      if (segment !== undefined) index.noteSegment(to.id, segment);
    });
    for (const { row, bytes } of moved) {
      segments.addLive(to.id, bytes.length);
      this.removed(row);
    }
  }

  #drop(id: number, copiedBytes: number): void {
    const { index, segments, publish, tier, onDropped } = this.#options;
    const bytes = segments.bytesOf(id);
    // The records that replaced its dead ones may not be on stable storage yet.
    segments.sync();
    segments.drop(id);
    index.transaction(() => index.forgetSegment(id));
    publish("l2.reclaimed", { tier, bytes, copiedBytes });
    onDropped(id);
  }
}

/** Returns the payload of a record if it is complete and belongs to the index row. */
export function payloadOf(bytes: Uint8Array, row: Pick<IndexRow, "key" | "meta">): Uint8Array | undefined {
  const record = decodeRecord(bytes);
  if (record?.head.kind !== "object" || record.headBytes + record.payloadBytes !== bytes.length) return undefined;
  if (!isAbout(record.head, row)) return undefined;
  const payload = bytes.subarray(record.headBytes);
  return crc32(payload) === row.meta.crc32 ? payload : undefined;
}

function isRecordOf(bytes: Uint8Array, row: IndexRow): boolean {
  if (row.file === undefined) return payloadOf(bytes, row) !== undefined;
  const head = decodeRecord(bytes)?.head;
  return head?.kind === "file" && isAbout(head, row);
}

function isAbout(head: Pick<IndexRow, "key" | "meta">, { key, meta }: Pick<IndexRow, "key" | "meta">): boolean {
  return head.key.key === key.key && head.key.tenant === key.tenant && head.meta.version === meta.version;
}

/** Options of Removals. */
export interface RemovalsOptions {
  readonly tier: string;
  readonly disk: BlockingDisk;
  readonly layout: Layout;
  readonly publish: Publish<EventMap>;
  readonly onRemoved: TierRemovalListener | undefined;
}

/** Cleans up after entries have left the index: removes their files and publishes the removal. */
export class Removals {
  readonly #options: RemovalsOptions;

  constructor(options: RemovalsOptions) {
    this.#options = options;
  }

  /** Removes the files of entries that have one. */
  removeFiles(entries: readonly IndexEntry[]): void {
    this.removeNames(entries.map(({ file }) => file).filter((file) => file !== undefined).map(({ name }) => name));
  }

  /**
   * Removes object files. A file that cannot be removed, or that reappears after a power loss, is removed at the next
   * start, because no record names it.
   */
  removeNames(names: readonly string[]): void {
    const { disk, layout, publish, tier } = this.#options;
    for (const name of names) {
      try {
        disk.remove(layout.objectPath(name));
      } catch (error) {
        publish("l2.cleanup_failed", { tier, error: error instanceof Error ? error.message : String(error) });
      }
    }
  }

  /** Calls the listener for each entry. */
  notify(entries: readonly Pick<IndexEntry, "key">[], reason: TierRemovalReason): void {
    for (const { key } of entries) this.#options.onRemoved?.(key, reason);
  }

  /** Reports the removal of entries. */
  publish(entries: readonly Pick<IndexEntry, "key" | "meta">[], reason: TierRemovalReason): void {
    const { tier: name, publish, onRemoved } = this.#options;
    reportRemoved(
      { name, publish, onRemoved },
      entries.map(({ key, meta }) => ({ key, bytes: meta.sizeBytes })),
      reason,
    );
  }
}
