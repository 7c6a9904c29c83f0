import { crc32 } from "node:zlib";
import type { ObjectKey, ObjectMeta } from "../../core/object.ts";
import type { StoreSource } from "../adapter.ts";
import { assertAnnounced } from "../calls.ts";
import { type Disk, type DiskFile, errorCode } from "./disk.ts";
import type { StoreCalls } from "./folder_calls.ts";
import { BLOCK_BYTES, encodeTail, type Layout } from "./layout.ts";

/** Stores large objects, each in a file of its own. */
export interface ObjectFiles {
  /**
   * Stores an object. Afterwards it is visible and, if `durable`, on stable storage, or nothing has changed. Throws
   * what the source throws, no_room, tier_failed and node:fs errors.
   */
  put(key: ObjectKey, source: StoreSource, durable: boolean): Promise<ObjectMeta>;
}

/** The files of a folder that this thread owns. */
export class LocalFiles implements ObjectFiles {
  readonly #disk: Disk;
  readonly #layout: Layout;
  readonly #folder: StoreCalls;
  readonly #buffers = new WriteBuffers();

  constructor(
    { disk, layout, folder }: { readonly disk: Disk; readonly layout: Layout; readonly folder: StoreCalls },
  ) {
    this.#disk = disk;
    this.#layout = layout;
    this.#folder = folder;
  }

  async put(key: ObjectKey, source: StoreSource, durable: boolean): Promise<ObjectMeta> {
    const tempPath = this.#layout.tempPath();
    const file = await this.#disk.create(tempPath);
    const writer = new ObjectWriter(file, { room: this.#folder, buffers: this.#buffers });
    let isHandedOver = false;
    try {
      const { meta, fileBytes: bytes } = await writeAndClose(file, () => writer.write(key, source), durable);
      if (source.whenWanted !== undefined) await source.whenWanted();
      source.assertWanted?.();
      isHandedOver = true;
      await this.#folder.change({ kind: "file", key, meta, tempPath, bytes, heldBytes: writer.heldBytes, durable });
      return meta;
    } catch (error) {
      // The first failure is the one to report; a temp file that cannot be removed now is removed at the next start.
      await this.#disk.remove(tempPath).catch(() => undefined);
      if (!isHandedOver) this.#folder.release(writer.heldBytes);
      throw error;
    }
  }
}

/** Returns the result of `write` once the file is closed, and synced first if `durable`. */
async function writeAndClose<T>(file: DiskFile, write: () => Promise<T>, durable: boolean): Promise<T> {
  try {
    const written = await write();
    if (durable) await file.sync();
    return written;
  } finally {
    await file.close();
  }
}

/** Smaller chunks are gathered into writes of this size. */
const GATHER_BYTES = 1024 * 1024;

/** Reserves room for a writer. */
export interface WriterRoom {
  /** Reserves `bytes` more; returns the new total. Throws no_room. */
  hold(bytes: number, heldBytes: number): Promise<number>;
  /** Frees about `bytes` on a full disk; returns false if nothing was left to free. */
  relieve(bytes: number): Promise<boolean>;
}

/** A written object. */
export interface Written {
  readonly meta: ObjectMeta;
  readonly fileBytes: number;
}

/** Writes one object file and reserves room for it. After any outcome the caller must release `heldBytes`. */
export class ObjectWriter {
  readonly #file: DiskFile;
  readonly #room: WriterRoom;
  readonly #buffers: WriteBuffers;
  readonly #checksums = new BlockChecksums();
  #gathered: Uint8Array | undefined;
  #gatheredBytes = 0;
  #flushedBytes = 0;
  #sizeBytes = 0;
  #heldBytes = 0;
  #announcedBytes = 0;

  constructor(file: DiskFile, { room, buffers }: { readonly room: WriterRoom; readonly buffers: WriteBuffers }) {
    this.#file = file;
    this.#room = room;
    this.#buffers = buffers;
  }

  /** Bytes reserved for this file. */
  get heldBytes(): number {
    return this.#heldBytes;
  }

  /**
   * Writes the payload, then block table, metadata and footer. Throws what the source throws, no_room, tier_failed if
   * bytes and metadata disagree, and node:fs errors.
   */
  async write(key: ObjectKey, source: StoreSource): Promise<Written> {
    try {
      await this.#begin(key, source);
      for await (const chunk of source.chunks) {
        this.#checksums.add(chunk);
        this.#sizeBytes += chunk.length;
        await this.#put(chunk);
      }
      const meta = source.meta();
      assertAnnounced({ sizeBytes: this.#sizeBytes, crc: this.#checksums.whole }, meta);
      await this.#put(encodeTail({ key, meta }, this.#checksums.blocks));
      await this.#flushGathered();
      return { meta, fileBytes: this.#flushedBytes };
    } finally {
      if (this.#gathered !== undefined) this.#buffers.give(this.#gathered);
      this.#gathered = undefined;
    }
  }

  /**
   * Reserves room for a source that is in memory. For other sources it rejects a size that can never fit, before
   * anything is evicted.
   */
  async #begin(key: ObjectKey, { sizeBytes = 0, atHand }: StoreSource): Promise<void> {
    this.#announcedBytes = sizeBytes;
    if (atHand === undefined) {
      await this.#room.hold(0, sizeBytes);
      return;
    }
    const blocks = Array.from({ length: Math.ceil(atHand.sizeBytes / BLOCK_BYTES) }, () => 0);
    const fileBytes = atHand.sizeBytes + encodeTail({ key, meta: atHand }, blocks).length;
    this.#heldBytes = await this.#room.hold(fileBytes, 0);
  }

  /** The chunk is valid only until the next one is requested, so it is copied or written before this returns. */
  async #put(chunk: Uint8Array): Promise<void> {
    const isLarge = chunk.length >= GATHER_BYTES;
    if (isLarge || this.#gatheredBytes + chunk.length > WRITE_BUFFER_BYTES) await this.#flushGathered();
    if (isLarge) return await this.#flush(chunk);
    this.#gathered ??= this.#buffers.take();
    this.#gathered.set(chunk, this.#gatheredBytes);
    this.#gatheredBytes += chunk.length;
  }

  async #flushGathered(): Promise<void> {
    const bytes = this.#gathered?.subarray(0, this.#gatheredBytes);
    this.#gatheredBytes = 0;
    if (bytes !== undefined) await this.#flush(bytes);
  }

  async #flush(bytes: Uint8Array): Promise<void> {
    if (bytes.length === 0) return;
    const end = this.#flushedBytes + bytes.length;
    if (end > this.#heldBytes) await this.#hold(end);
    try {
      await this.#file.write(bytes, this.#flushedBytes);
    } catch (error) {
      // The disk itself is full, regardless of the limit: free some room and try once more.
      if (errorCode(error) !== "ENOSPC" || !await this.#room.relieve(Math.max(bytes.length * 2, 8 * BLOCK_BYTES))) {
        throw error;
      }
      await this.#file.write(bytes, this.#flushedBytes);
    }
    this.#flushedBytes = end;
  }

  /**
   * Reserves room for `end` bytes, and ahead of them at most as much again: a size that is announced but never arrives
   * evicts nothing.
   */
  async #hold(end: number): Promise<void> {
    const wanted = Math.max(end, Math.min(2 * end, this.#announcedBytes));
    this.#heldBytes = await this.#room.hold(wanted - this.#heldBytes, this.#heldBytes);
  }
}

/** Size of a write buffer: one write and the usual tail after it. */
export const WRITE_BUFFER_BYTES: number = 1024 * 1024 + 4096;
/** Maximum number of free buffers; the rest is left to the garbage collector. */
const KEPT = 8;

/** A pool of write buffers: new ones would pile up as garbage (docs/RUNTIMES.md). */
export class WriteBuffers {
  readonly #free: Uint8Array[] = [];

  /** Returns a buffer of WRITE_BUFFER_BYTES with arbitrary content; return it with `give`. */
  take(): Uint8Array {
    return this.#free.pop() ?? new Uint8Array(WRITE_BUFFER_BYTES);
  }

  /** Returns a buffer that nothing reads or writes any more. */
  give(buffer: Uint8Array): void {
    if (this.#free.length < KEPT) this.#free.push(buffer);
  }
}

/** Computes the CRC-32 of each block of a payload, and of the whole, in one pass. */
export class BlockChecksums {
  readonly #shift = new ZeroBytes();
  readonly #full: number[] = [];
  /** The CRC-32 of all full blocks together. */
  #fullCrc = 0;
  #fillBytes = 0;
  #fillCrc = 0;

  add(chunk: Uint8Array): void {
    for (let at = 0; at < chunk.length;) {
      const part = chunk.subarray(at, at + BLOCK_BYTES - this.#fillBytes);
      this.#fillCrc = crc32(part, this.#fillCrc);
      this.#fillBytes += part.length;
      at += part.length;
      if (this.#fillBytes === BLOCK_BYTES) this.#endBlock();
    }
  }

  /** The CRC-32 of each block so far, including a partial last one. */
  get blocks(): readonly number[] {
    return this.#fillBytes === 0 ? this.#full : [...this.#full, this.#fillCrc];
  }

  /** The CRC-32 of all bytes so far. */
  get whole(): number {
    return (this.#shift.behind(this.#fullCrc, this.#fillBytes) ^ this.#fillCrc) >>> 0;
  }

  #endBlock(): void {
    this.#full.push(this.#fillCrc);
    this.#fullCrc = this.whole;
    this.#fillBytes = 0;
    this.#fillCrc = 0;
  }
}

/** CRC-32's polynomial, bit-reversed: the lowest bit is the highest power. */
const POLYNOMIAL = 0xedb88320;

/** Extends a CRC-32 by zero bytes as zlib's crc32_combine does, with matrices over GF(2) for powers of two. */
class ZeroBytes {
  /** The matrices for 1, 2, 4, … zero bits; column `n` is the image of bit `n`. */
  readonly #matrices: Uint32Array[] = [
    Uint32Array.from({ length: 32 }, (_, bit) => bit === 0 ? POLYNOMIAL : 2 ** (bit - 1)),
  ];

  behind(crc: number, zeroBytes: number): number {
    let moved = crc;
    // Starts at power 3: one byte is eight bits.
    for (let left = zeroBytes, power = 3; left > 0; left = Math.floor(left / 2), power += 1) {
      if (left % 2 === 1) moved = product(this.#matrix(power), moved);
    }
    return moved;
  }

  #matrix(power: number): Uint32Array {
    const known = this.#matrices[power];
    if (known !== undefined) return known;
    const half = this.#matrix(power - 1);
    const matrix = half.map((column) => product(half, column));
    this.#matrices[power] = matrix;
    return matrix;
  }
}

function product(matrix: Uint32Array, vector: number): number {
  let sum = 0;
  for (let bit = 0, left = vector; left !== 0; bit += 1, left >>>= 1) {
    if ((left & 1) === 1) sum ^= matrix[bit] ?? 0;
  }
  return sum >>> 0;
}
