import { VitrineError } from "../../../core/errors.ts";
import type { BlockingDisk } from "../disk.ts";
import type { Layout } from "../layout.ts";
import { decodeSegmentHeader, newSegmentHeader, SEGMENT_FORMAT, SEGMENT_HEADER_BYTES } from "./record.ts";

/** A segment file. */
interface Segment {
  readonly nonce: string;
  /** Length of the file. */
  bytes: number;
  /** Bytes of the records that the index refers to. */
  liveBytes: number;
  /**
   * It contains a clear: it must not be dropped before all older segments, and the clear must not be moved after later
   * records.
   */
  hasClear: boolean;
}

/** Records that were appended as one write. */
export interface Appended {
  readonly id: number;
  /** The start of the first record. */
  readonly position: number;
  /** The end of the last record. */
  readonly end: number;
}

/** Dead bytes for which a segment is sealed before it is full, or half a segment if that is less. */
const WORTHWHILE_BYTES = 64 * 1024;

interface Head {
  readonly id: number;
  readonly file: number;
  /** Bytes before this position are on stable storage. */
  syncedBytes: number;
  /** A sync has failed: its last records may be cut off, and no more are added. */
  isBroken: boolean;
}

/** Options of Segments. */
export interface SegmentsOptions {
  readonly disk: BlockingDisk;
  readonly layout: Layout;
  /** A segment is sealed, and a new one started, once it is at least this long. */
  readonly segmentBytes: number;
}

/**
 * The files in which small objects are stored one after the other. Records are only ever appended, to the newest
 * segment, so readers of a segment are not disturbed. Blocking; for the one thread that owns the folder.
 */
export class Segments {
  readonly #options: SegmentsOptions;
  readonly #segments = new Map<number, Segment>();
  /** A segment that must stay, because records that are not in the index yet were appended to it. */
  pinned: number | undefined;
  #head: Head | undefined;
  #lastId = 0;
  #bytes = 0;

  constructor(options: SegmentsOptions) {
    this.#options = options;
  }

  /** Total length of all segment files. */
  get bytes(): number {
    return this.#bytes;
  }

  /** The numbers of all segments, oldest first. */
  get ids(): readonly number[] {
    return [...this.#segments.keys()];
  }

  /** The bytes of the records that the index refers to, by segment. */
  get liveBytes(): ReadonlyMap<number, number> {
    return new Map([...this.#segments].map(([id, { liveBytes }]) => [id, liveBytes]));
  }

  /** True if there are no segments. */
  get areNone(): boolean {
    return this.#segments.size === 0;
  }

  /** Opens the segments in the folder. Throws tier_failed if one was written by a newer version. */
  open(): void {
    const { disk, layout } = this.#options;
    const ids = disk.names(layout.segmentsPath).map((name) => layout.segmentId(name)).filter((id) => id !== undefined);
    for (const id of ids.toSorted((a, b) => a - b)) {
      this.#lastId = id;
      const bytes = disk.size(layout.segmentPath(id)) ?? 0;
      const header = decodeSegmentHeader(this.read(id, 0, SEGMENT_HEADER_BYTES) ?? new Uint8Array());
      if (header !== undefined && header.format > SEGMENT_FORMAT) {
        throw new VitrineError(
          "tier_failed",
          `open tier: ${
            layout.segmentPath(id)
          } has format ${header.format}, this version reads up to ${SEGMENT_FORMAT}`,
        );
      }
      // A segment that ends before its records is empty: its creation was interrupted. If only the header is damaged,
      // the records are read again, each of which has checksums.
      if (header !== undefined || bytes > SEGMENT_HEADER_BYTES) this.#add(id, header?.nonce ?? "", bytes);
      else disk.remove(layout.segmentPath(id));
    }
  }

  /** Returns the length of a segment and the random number in its header; undefined if there is no such segment. */
  get(id: number): { readonly nonce: string; readonly bytes: number } | undefined {
    return this.#segments.get(id);
  }

  bytesOf(id: number): number {
    return this.#segments.get(id)?.bytes ?? 0;
  }

  /** Records that a segment contains a clear. */
  noteClear(id: number): void {
    const segment = this.#segments.get(id);
    if (segment !== undefined) segment.hasClear = true;
  }

  /** Adds to the live bytes of a segment; `bytes` may be negative. */
  addLive(id: number, bytes: number): void {
    const segment = this.#segments.get(id);
    if (segment !== undefined) segment.liveBytes += bytes;
  }

  /**
   * Appends records as one write and returns their place. A failure leaves nothing behind that a later start could take
   * for a record: the segment is truncated, or sealed if even that fails.
   */
  append(buffers: readonly Uint8Array[]): Appended {
    const { disk, segmentBytes } = this.#options;
    if (this.#head !== undefined && (this.#head.isBroken || this.bytesOf(this.#head.id) >= segmentBytes)) this.seal();
    const head = this.#head ??= this.#create();
    const position = this.bytesOf(head.id);
    try {
      disk.write(head.file, buffers, position);
    } catch (error) {
      this.cutBack({ id: head.id, position, end: position });
      throw error;
    }
    const end = position + buffers.reduce((sum, bytes) => sum + bytes.length, 0);
    this.#setBytes(head.id, end);
    return { id: head.id, position, end };
  }

  /**
   * Removes the records that were appended last. If other records follow them by now, they stay as dead bytes, which
   * the index has already recorded as seen.
   */
  cutBack({ id, position, end }: Appended): void {
    if (this.#head?.id !== id || this.bytesOf(id) !== end) return;
    try {
      this.#options.disk.truncate(this.#head.file, position);
      this.#setBytes(id, position);
      this.#head.syncedBytes = Math.min(this.#head.syncedBytes, position);
    } catch {
      // Bytes after the last valid record are never read. The next records go into a new segment.
      this.#close(this.#head);
    }
  }

  /** Writes everything appended so far to stable storage. */
  sync(): void {
    const head = this.#head;
    if (head === undefined || head.syncedBytes === this.bytesOf(head.id)) return;
    try {
      this.#options.disk.sync(head.file);
    } catch (error) {
      // The kernel may have dropped the pages, and fsync reports that only once: nothing more is written to this file.
      head.isBroken = true;
      throw error;
    }
    head.syncedBytes = this.bytesOf(head.id);
  }

  /** Syncs and seals the current segment. */
  seal(): void {
    if (this.#head === undefined) return;
    if (!this.#head.isBroken) this.sync();
    this.#close(this.#head);
  }

  /** Removes a segment's file durably: if the file came back, so would the objects deleted from it. */
  drop(id: number): void {
    const { disk, layout } = this.#options;
    if (this.#head?.id === id) this.#close(this.#head);
    disk.remove(layout.segmentPath(id));
    disk.syncFolder(layout.segmentsPath);
    this.#bytes -= this.bytesOf(id);
    this.#segments.delete(id);
  }

  /** True if there is an older segment. */
  hasOlder(id: number): boolean {
    const [oldest] = this.#segments.keys();
    return oldest !== undefined && oldest < id;
  }

  /**
   * Returns the sealed segment whose compaction frees the most bytes; undefined if no segment is at least half dead.
   */
  sparsest(): number | undefined {
    let best: { readonly id: number; readonly deadBytes: number } | undefined;
    for (const [id, { bytes, liveBytes, hasClear }] of this.#segments) {
      const deadBytes = bytes - liveBytes;
      if (!this.#mayGo(id) || deadBytes * 2 < bytes || (hasClear && this.hasOlder(id))) continue;
      if (best === undefined || deadBytes > best.deadBytes) best = { id, deadBytes };
    }
    return best?.id;
  }

  /** Returns the oldest segment if it is sealed and has no live records. */
  emptyOldest(): number | undefined {
    const [oldest] = this.#segments;
    return oldest !== undefined && this.#mayGo(oldest[0]) && oldest[1].liveBytes === 0 ? oldest[0] : undefined;
  }

  /** Seals the current segment if half of it is dead and that is enough to be worthwhile. */
  sealIfSparse(): void {
    const segment = this.#head && this.#segments.get(this.#head.id);
    if (segment === undefined) return;
    const deadBytes = segment.bytes - segment.liveBytes;
    if (deadBytes >= Math.min(WORTHWHILE_BYTES, this.#options.segmentBytes / 2) && deadBytes * 2 >= segment.bytes) {
      this.seal();
    }
  }

  /** Reads a part of a segment; undefined if the file is missing or too short. */
  read(id: number, position: number, length: number): Uint8Array | undefined {
    const { disk, layout } = this.#options;
    const file = disk.open(layout.segmentPath(id));
    if (file === undefined) return undefined;
    try {
      const bytes = new Uint8Array(length);
      return disk.read(file, bytes, position) === length ? bytes : undefined;
    } finally {
      disk.close(file);
    }
  }

  /** Closes the current file without syncing it. */
  abandon(): void {
    if (this.#head !== undefined) this.#close(this.#head);
  }

  /** Syncs and closes the current file. */
  close(): void {
    this.seal();
  }

  #create(): Head {
    const { disk, layout } = this.#options;
    const id = this.#lastId + 1;
    const file = disk.create(layout.segmentPath(id));
    this.#lastId = id;
    const header = newSegmentHeader();
    try {
      disk.write(file, [header], 0);
      disk.syncFolder(layout.segmentsPath);
    } catch (error) {
      disk.close(file);
      throw error;
    }
    this.#add(id, decodeSegmentHeader(header)?.nonce ?? "", header.length);
    return { id, file, syncedBytes: 0, isBroken: false };
  }

  #mayGo(id: number): boolean {
    return id !== this.#head?.id && id !== this.pinned;
  }

  #add(id: number, nonce: string, bytes: number): void {
    this.#segments.set(id, { nonce, bytes, liveBytes: 0, hasClear: false });
    this.#bytes += bytes;
  }

  #setBytes(id: number, bytes: number): void {
    const segment = this.#segments.get(id);
    if (segment === undefined) return;
    this.#bytes += bytes - segment.bytes;
    segment.bytes = bytes;
  }

  #close(head: Head): void {
    this.#head = undefined;
    this.#options.disk.close(head.file);
  }
}
