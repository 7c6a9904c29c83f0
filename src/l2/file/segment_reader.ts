import type { Disk, DiskFile } from "./disk.ts";
import type { Layout } from "./layout.ts";

/** Maximum number of open segment files. */
const MAX_OPEN = 64;

interface OpenSegment {
  readonly file: Promise<DiskFile | undefined>;
  /** Number of running reads. */
  readers: number;
  isForgotten: boolean;
}

/** Reads records from segments, whose files stay open between reads. Nothing blocks. */
export class SegmentReader {
  readonly #disk: Disk;
  readonly #layout: Layout;
  readonly #open = new Map<number, OpenSegment>();

  constructor(disk: Disk, layout: Layout) {
    this.#disk = disk;
    this.#layout = layout;
  }

  /** Reads `length` bytes of a segment; undefined if the file is missing or too short. */
  async read(segment: number, offset: number, length: number): Promise<Uint8Array | undefined> {
    const open = this.#segment(segment);
    open.readers += 1;
    try {
      const file = await open.file;
      const bytes = new Uint8Array(length);
      if (file !== undefined && await file.read(bytes, offset) === length) return bytes;
      return undefined;
    } catch (error) {
      this.forget(segment);
      throw error;
    } finally {
      open.readers -= 1;
      await this.#closeUnused(open);
    }
  }

  /** Closes a removed segment's file after its last read, so that its disk space is freed. */
  forget(segment: number): void {
    const open = this.#open.get(segment);
    if (open === undefined) return;
    this.#open.delete(segment);
    open.isForgotten = true;
    void this.#closeUnused(open).catch(() => undefined);
  }

  close(): void {
    for (const segment of [...this.#open.keys()]) this.forget(segment);
  }

  #segment(segment: number): OpenSegment {
    const known = this.#open.get(segment);
    if (known !== undefined) {
      this.#open.delete(segment);
      this.#open.set(segment, known);
      return known;
    }
    const [oldest] = this.#open.keys();
    if (oldest !== undefined && this.#open.size >= MAX_OPEN) this.forget(oldest);
    const open: OpenSegment = {
      file: this.#disk.open(this.#layout.segmentPath(segment)),
      readers: 0,
      isForgotten: false,
    };
    this.#open.set(segment, open);
    // A missing file may be a passing failure of the disk, so the next read opens it again.
    void open.file.then((file) => file === undefined && this.forget(segment), () => this.forget(segment));
    return open;
  }

  async #closeUnused(open: OpenSegment): Promise<void> {
    if (!open.isForgotten || open.readers > 0) return;
    open.readers = Number.NaN; // Closes it only once.
    const file = await open.file;
    await file?.close();
  }
}
