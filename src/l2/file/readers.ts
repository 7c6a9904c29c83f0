import { crc32 } from "node:zlib";
import { VitrineError } from "../../core/errors.ts";
import type { Disk, DiskFile } from "./disk.ts";
import type { IndexEntry } from "./folder_calls.ts";
import { BLOCK_BYTES, decodeTail, type Layout, type Tail } from "./layout.ts";

/** Maximum length of a file that is read in one call. */
const WHOLE_BYTES = BLOCK_BYTES + 16 * 1024;

/** Blocks of one load in use at the same time: the two returned last (see L2Load) and the one being read. */
const BUFFERS = 3;

/** Options of a BlockReader. */
export interface ReaderOptions {
  /** The requested bytes: [start, end). */
  readonly range: { readonly start: number; readonly end: number };
  /** Called if a block turns out to be damaged after the first bytes have been returned. */
  readonly onDamage: () => Promise<unknown>;
  /** Returns true once the adapter is closed; the next block then fails. */
  readonly isClosed: () => boolean;
}

/**
 * Reads the blocks of an open object file, verified, with one block of read-ahead, into reused memory. Owns the file:
 * closes it after the last block, after a failure, or on `return`.
 */
export class BlockReader implements AsyncIterableIterator<Uint8Array> {
  readonly #file: DiskFile;
  readonly #tail: Tail;
  readonly #options: ReaderOptions;
  readonly #lastBlock: number;
  /** Reused in rotation: new memory for each block would pile up as garbage (docs/RUNTIMES.md). */
  readonly #buffers: Uint8Array[] = [];
  #nextBlock: number;
  #ahead: Promise<Uint8Array | undefined> | undefined;
  #open = true;

  private constructor(file: DiskFile, tail: Tail, options: ReaderOptions) {
    this.#file = file;
    this.#tail = tail;
    this.#options = options;
    this.#nextBlock = Math.floor(options.range.start / BLOCK_BYTES);
    this.#lastBlock = Math.ceil(options.range.end / BLOCK_BYTES) - 1;
  }

  /**
   * Checks the tail and the first requested block of an entry's file. Closes the file and returns undefined if anything
   * is damaged or belongs to another object.
   */
  static async start(
    file: DiskFile,
    entry: IndexEntry,
    options: ReaderOptions,
  ): Promise<BlockReader | undefined> {
    let started: BlockReader | undefined;
    const fileBytes = entry.file?.bytes ?? 0;
    try {
      const whole = fileBytes <= WHOLE_BYTES ? await readExactly(file, 0, fileBytes) : undefined;
      const tailAt = entry.meta.sizeBytes;
      const tailBytes = whole?.subarray(tailAt) ??
        (fileBytes <= WHOLE_BYTES ? undefined : await readExactly(file, tailAt, fileBytes - tailAt));
      const tail = tailBytes === undefined ? undefined : decodeTail(tailBytes, fileBytes);
      if (tail === undefined || !isSame(tail, entry)) return undefined;
      const reader = new BlockReader(file, tail, options);
      if (!await reader.#begin(whole)) return undefined;
      started = reader;
      return reader;
    } finally {
      if (started === undefined) await file.close();
    }
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  async next(): Promise<IteratorResult<Uint8Array, undefined>> {
    const ahead = this.#ahead;
    if (ahead === undefined) {
      await this.#close();
      return { done: true, value: undefined };
    }
    try {
      if (this.#options.isClosed()) throw new VitrineError("tier_failed", "load object: the tier is closed");
      const block = await ahead;
      if (block === undefined) {
        await this.#options.onDamage();
        throw new VitrineError("tier_failed", "load object: its file is damaged");
      }
      this.#readAhead();
      if (this.#ahead === undefined) await this.#close();
      return { done: false, value: block };
    } catch (error) {
      this.#ahead = undefined;
      await this.#close();
      if (error instanceof VitrineError) throw error;
      throw new VitrineError("tier_failed", "load object: reading failed", { cause: error });
    }
  }

  async return(): Promise<IteratorResult<Uint8Array, undefined>> {
    const ahead = this.#ahead;
    this.#ahead = undefined;
    // The file must not be closed during a read. The result of that read does not matter.
    await ahead?.catch(() => undefined);
    await this.#close();
    return { done: true, value: undefined };
  }

  /**
   * Returns false if the first block is damaged. Closes the file if nothing more is needed from it, so that a small
   * load holds no resources if it is never iterated.
   */
  async #begin(whole: Uint8Array | undefined): Promise<boolean> {
    if (this.#options.range.start === this.#options.range.end) {
      await this.#close();
      return true;
    }
    const block = whole === undefined
      ? await this.#read(this.#nextBlock)
      : this.#verify(this.#nextBlock, whole.subarray(this.#nextBlock * BLOCK_BYTES, this.#blockEnd(this.#nextBlock)));
    if (block === undefined) return false;
    this.#ahead = Promise.resolve(block);
    this.#nextBlock += 1;
    if (this.#nextBlock > this.#lastBlock) await this.#close();
    return true;
  }

  #readAhead(): void {
    if (this.#nextBlock > this.#lastBlock) {
      this.#ahead = undefined;
      return;
    }
    this.#ahead = this.#read(this.#nextBlock);
    this.#ahead.catch(() => undefined); // May never be awaited.
    this.#nextBlock += 1;
  }

  async #read(index: number): Promise<Uint8Array | undefined> {
    const at = index * BLOCK_BYTES;
    const buffer = this.#buffers[index % BUFFERS] ??= new Uint8Array(BLOCK_BYTES);
    const block = buffer.subarray(0, this.#blockEnd(index) - at);
    return await this.#file.read(block, at) === block.length ? this.#verify(index, block) : undefined;
  }

  #blockEnd(index: number): number {
    return Math.min((index + 1) * BLOCK_BYTES, this.#tail.meta.sizeBytes);
  }

  /** Returns the requested part of a block, or undefined if its checksum is wrong. */
  #verify(index: number, block: Uint8Array): Uint8Array | undefined {
    if (crc32(block) !== this.#tail.blockCrc(index)) return undefined;
    const { start, end } = this.#options.range;
    const at = index * BLOCK_BYTES;
    return block.subarray(Math.max(0, start - at), Math.min(block.length, end - at));
  }

  async #close(): Promise<void> {
    if (!this.#open) return;
    this.#open = false;
    await this.#file.close();
  }
}

function isSame(tail: Tail, entry: IndexEntry): boolean {
  return tail.key.key === entry.key.key && tail.key.tenant === entry.key.tenant &&
    tail.meta.version === entry.meta.version && tail.meta.sizeBytes === entry.meta.sizeBytes;
}

/** Reads `length` bytes at `position`; undefined if the file does not end right after them. */
async function readExactly(file: DiskFile, position: number, length: number): Promise<Uint8Array | undefined> {
  const bytes = new Uint8Array(length + 1);
  return await file.read(bytes, position) === length ? bytes.subarray(0, length) : undefined;
}

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
