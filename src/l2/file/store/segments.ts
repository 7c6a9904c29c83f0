import { VitrineError } from "../../../core/errors.ts";
import type { BlockingDisk } from "./blocking_disk.ts";
import type { Layout } from "../layout.ts";
import { decodeSegmentHeader, newSegmentHeader, SEGMENT_FORMAT, SEGMENT_HEADER_BYTES } from "./record.ts";

/** One segment file, by its number. */
interface Segment {
  readonly nonce: string;
  /** Length of the file. */
  bytes: number;
  /** Bytes of the records that the index refers to. */
  liveBytes: number;
  /** A clear lies in it: it must not be dropped before all older ones, nor be moved behind what was stored after it. */
  hasClear: boolean;
}

/** Records that were appended as one write. */
export interface Appended {
  readonly id: number;
  /** Where the first of them begins. */
  readonly position: number;
  /** Where the last of them ends. */
  readonly end: number;
}

/** Dead bytes for which a segment is sealed before it is full; half a segment if that is less. */
const WORTHWHILE_BYTES = 64 * 1024;

interface Head {
  readonly id: number;
  readonly file: number;
  /** Bytes before this are on stable storage. */
  syncedBytes: number;
  /** A sync has failed: what is in it may be cut back, and nothing is added. */
  isBroken: boolean;
}

/** Settings of the segments. */
export interface SegmentsOptions {
  readonly disk: BlockingDisk;
  readonly layout: Layout;
  /** A segment is sealed, and a new one begun, when it is at least this long. */
  readonly segmentBytes: number;
}

/**
 * The files in which small objects lie one behind the other. Records are only ever appended, to the newest segment, so
 * whoever reads a segment may go on reading it. Blocking; for the one thread that owns the folder.
 */
export class Segments {
  readonly #options: SegmentsOptions;
  readonly #segments = new Map<number, Segment>();
  /** A segment that must stay: records were appended to it that the index does not know yet. */
  pinned: number | undefined;
  #head: Head | undefined;
  #lastId = 0;
  #bytes = 0;

  constructor(options: SegmentsOptions) {
    this.#options = options;
  }

  /** Length of all segment files together. */
  get bytes(): number {
    return this.#bytes;
  }

  /** The numbers of all segments, oldest first. */
  get ids(): readonly number[] {
    return [...this.#segments.keys()];
  }

  /** Bytes by segment of the records that the index refers to. */
  get liveBytes(): ReadonlyMap<number, number> {
    return new Map([...this.#segments].map(([id, { liveBytes }]) => [id, liveBytes]));
  }

  /** Whether there is no segment. */
  get areNone(): boolean {
    return this.#segments.size === 0;
  }

  /** Takes up the segments that are in the folder. Throws tier_failed if one was written by a newer version. */
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
      // Without a header there is nothing in it: it was cut off when it was made.
      if (header === undefined) disk.remove(layout.segmentPath(id));
      else this.#add(id, header.nonce, bytes);
    }
  }

  /** The length of a segment and the random number in its header; undefined if there is no such segment. */
  get(id: number): { readonly nonce: string; readonly bytes: number } | undefined {
    return this.#segments.get(id);
  }

  bytesOf(id: number): number {
    return this.#segments.get(id)?.bytes ?? 0;
  }

  /** Notes that a clear lies in a segment. */
  noteClear(id: number): void {
    const segment = this.#segments.get(id);
    if (segment !== undefined) segment.hasClear = true;
  }

  /** Notes that the index refers to so many bytes more, or less, of a segment. */
  addLive(id: number, bytes: number): void {
    const segment = this.#segments.get(id);
    if (segment !== undefined) segment.liveBytes += bytes;
  }

  /**
   * Appends records as one write and returns the segment and the position of the first. A failure leaves nothing behind
   * that a later start could take for a record: the segment is cut back, or sealed where even that fails.
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
   * Takes back what was appended last. If something else was appended behind it, it stays, as dead bytes that the index
   * has noted as seen.
   */
  cutBack({ id, position, end }: Appended): void {
    if (this.#head?.id !== id || this.bytesOf(id) !== end) return;
    try {
      this.#options.disk.truncate(this.#head.file, position);
      this.#setBytes(id, position);
      this.#head.syncedBytes = Math.min(this.#head.syncedBytes, position);
    } catch {
      // What lies behind the last sound record is never read: the next records go into a segment of their own.
      this.#close(this.#head);
    }
  }

  /** Brings everything appended so far onto stable storage. */
  sync(): void {
    const head = this.#head;
    if (head === undefined || head.syncedBytes === this.bytesOf(head.id)) return;
    try {
      this.#options.disk.sync(head.file);
    } catch (error) {
      // The kernel may have dropped the pages (fsync reports that once): nothing more goes into this file.
      head.isBroken = true;
      throw error;
    }
    head.syncedBytes = this.bytesOf(head.id);
  }

  /** Ends the segment that is being written, synced. */
  seal(): void {
    if (this.#head === undefined) return;
    if (!this.#head.isBroken) this.sync();
    this.#close(this.#head);
  }

  /** Removes a segment's file for good: if it came back, so would what was deleted from it. */
  drop(id: number): void {
    const { disk, layout } = this.#options;
    if (this.#head?.id === id) this.#close(this.#head);
    disk.remove(layout.segmentPath(id));
    disk.syncFolder(layout.segmentsPath);
    this.#bytes -= this.bytesOf(id);
    this.#segments.delete(id);
  }

  /** Whether there is a segment that is older than this one. */
  hasOlder(id: number): boolean {
    const [oldest] = this.#segments.keys();
    return oldest !== undefined && oldest < id;
  }

  /**
   * The sealed segment that frees most of what it takes when its live records are moved on; undefined if none frees
   * half.
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

  /** The oldest segment, if it is sealed and the index refers to nothing in it. */
  emptyOldest(): number | undefined {
    const [oldest] = this.#segments;
    return oldest !== undefined && this.#mayGo(oldest[0]) && oldest[1].liveBytes === 0 ? oldest[0] : undefined;
  }

  /** Seals the segment that is being written if half of it is dead and that is worth the while. */
  sealIfSparse(): void {
    const segment = this.#head && this.#segments.get(this.#head.id);
    if (segment === undefined) return;
    const deadBytes = segment.bytes - segment.liveBytes;
    if (deadBytes >= Math.min(WORTHWHILE_BYTES, this.#options.segmentBytes / 2) && deadBytes * 2 >= segment.bytes) {
      this.seal();
    }
  }

  /** A part of a segment; undefined if the file is not there or shorter. */
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

  /** Closes the file that is being written, as it is. */
  abandon(): void {
    if (this.#head !== undefined) this.#close(this.#head);
  }

  /** Closes the file that is being written, synced. */
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
