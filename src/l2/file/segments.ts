import { VitrineError } from "../../core/errors.ts";
import type { BlockingDisk } from "./blocking_disk.ts";
import type { Layout } from "./layout.ts";
import { SEGMENT_FORMAT, SEGMENT_HEADER_BYTES, segmentFormat, segmentHeader } from "./record.ts";

/** One segment file, by its number. */
interface Segment {
  /** Length of the file. */
  bytes: number;
  /** Bytes of the records that the index refers to. */
  liveBytes: number;
}

/** Records that were appended as one write. */
export interface Appended {
  readonly id: number;
  /** Where the first of them begins. */
  readonly position: number;
  /** Where the last of them ends. */
  readonly end: number;
}

/** Dead bytes for which a segment is sealed before it is full. */
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
 * The files in which small objects lie one behind the other. Records are only ever appended, to the newest segment, so whoever reads a segment may go on
 * reading it. Blocking; for the one thread that owns the folder.
 */
export class Segments {
  readonly #options: SegmentsOptions;
  readonly #segments = new Map<number, Segment>();
  #head: Head | undefined;
  #lastId = 0;

  constructor(options: SegmentsOptions) {
    this.#options = options;
  }

  /** Length of all segment files together. */
  get bytes(): number {
    let sum = 0;
    for (const { bytes } of this.#segments.values()) sum += bytes;
    return sum;
  }

  /** The numbers of all segments, oldest first. */
  get ids(): readonly number[] {
    return [...this.#segments.keys()];
  }

  /** Takes up the segments that are in the folder. Throws tier_failed if one was written by a newer version. */
  open(): void {
    const { disk, layout } = this.#options;
    const ids = disk.names(layout.segmentsPath).map((name) => layout.segmentId(name)).filter((id) => id !== undefined);
    for (const id of ids.toSorted((a, b) => a - b)) {
      this.#lastId = id;
      const bytes = disk.size(layout.segmentPath(id)) ?? 0;
      const format = segmentFormat(this.read(id, 0, SEGMENT_HEADER_BYTES) ?? new Uint8Array());
      if (format !== undefined && format > SEGMENT_FORMAT) {
        throw new VitrineError(
          "tier_failed",
          `open tier: ${layout.segmentPath(id)} has format ${format}, this version reads up to ${SEGMENT_FORMAT}`,
        );
      }
      // Without a header there is nothing in it: it was cut off when it was made.
      if (format === undefined) disk.remove(layout.segmentPath(id));
      else this.#segments.set(id, { bytes, liveBytes: 0 });
    }
  }

  has(id: number): boolean {
    return this.#segments.has(id);
  }

  bytesOf(id: number): number {
    return this.#segments.get(id)?.bytes ?? 0;
  }

  /** Notes that the index refers to so many bytes more, or less, of a segment. */
  addLive(id: number, bytes: number): void {
    const segment = this.#segments.get(id);
    if (segment !== undefined) segment.liveBytes += bytes;
  }

  /**
   * Appends records as one write and returns the segment and the position of the first. A failure leaves nothing behind that a later start could take for
   * a record: the segment is cut back, or sealed where even that fails.
   */
  append(buffers: readonly Uint8Array[]): Appended {
    const { disk, segmentBytes } = this.#options;
    if (this.#head !== undefined && (this.#head.isBroken || this.bytesOf(this.#head.id) >= segmentBytes)) this.seal();
    const head = this.#head ??= this.#create();
    const segment = this.#segments.get(head.id) ?? { bytes: 0, liveBytes: 0 };
    const position = segment.bytes;
    try {
      disk.write(head.file, buffers, position);
    } catch (error) {
      this.cutBack({ id: head.id, position, end: position });
      throw error;
    }
    segment.bytes += buffers.reduce((sum, bytes) => sum + bytes.length, 0);
    return { id: head.id, position, end: segment.bytes };
  }

  /** Takes back what was appended last. If something else was appended behind it, it stays, as dead bytes that the index has noted as seen. */
  cutBack({ id, position, end }: Appended): void {
    const segment = this.#segments.get(id);
    if (segment === undefined || this.#head?.id !== id || segment.bytes !== end) return;
    try {
      this.#options.disk.truncate(this.#head.file, position);
      segment.bytes = position;
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
    this.#segments.delete(id);
  }

  /** The sealed segment that frees most of what it takes when its live records are moved on; undefined if none frees half. */
  sparsest(): number | undefined {
    let best: { readonly id: number; readonly deadBytes: number } | undefined;
    for (const [id, { bytes, liveBytes }] of this.#segments) {
      const deadBytes = bytes - liveBytes;
      if (id === this.#head?.id || deadBytes * 2 < bytes) continue;
      if (best === undefined || deadBytes > best.deadBytes) best = { id, deadBytes };
    }
    return best?.id;
  }

  /** Seals the segment that is being written if half of it is dead and that is worth the while. */
  sealIfSparse(): void {
    const segment = this.#head && this.#segments.get(this.#head.id);
    if (segment === undefined) return;
    const deadBytes = segment.bytes - segment.liveBytes;
    if (deadBytes >= WORTHWHILE_BYTES && deadBytes * 2 >= segment.bytes) this.seal();
  }

  /** Sealed segments that the index no longer refers to. */
  empty(): readonly number[] {
    return [...this.#segments].filter(([id, { liveBytes }]) => liveBytes === 0 && id !== this.#head?.id)
      .map(([id]) => id);
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
    disk.write(file, [segmentHeader()], 0);
    disk.syncFolder(layout.segmentsPath);
    this.#segments.set(id, { bytes: SEGMENT_HEADER_BYTES, liveBytes: 0 });
    return { id, file, syncedBytes: 0, isBroken: false };
  }

  #close(head: Head): void {
    this.#head = undefined;
    this.#options.disk.close(head.file);
  }
}
