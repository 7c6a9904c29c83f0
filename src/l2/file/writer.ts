import { VitrineError } from "../../core/errors.ts";
import type { ObjectKey } from "../../core/key.ts";
import type { ObjectMeta } from "../../core/object.ts";
import type { StoreSource } from "../adapter.ts";
import { BlockChecksums } from "./block_checksums.ts";
import { type DiskFile, errorCode } from "./disk.ts";
import { BLOCK_BYTES, encodeTail } from "./format.ts";
import { WRITE_BUFFER_BYTES, type WriteBuffers } from "./write_buffers.ts";

/** Chunks below this are gathered into writes of this size. */
const GATHER_BYTES = 1024 * 1024;

/** Where a writer gets its room. */
export interface WriterRoom {
  /** Holds `bytes` more; returns what is held now. Throws no_room. */
  hold(bytes: number, heldBytes: number): Promise<number>;
  /** The disk is full: frees about so many bytes; false if nothing was left to free. */
  relieve(bytes: number): Promise<boolean>;
}

/** What was written. */
export interface Written {
  readonly meta: ObjectMeta;
  readonly fileBytes: number;
}

/** Writes one object file, holding its room. After any outcome `heldBytes` is what must be released. */
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
   * Payload, then block table, metadata and footer. Throws what the source throws, no_room, tier_failed if bytes and
   * metadata disagree, and node:fs errors.
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
      this.#assertRight(meta);
      await this.#put(encodeTail({ key, meta }, this.#checksums.blocks));
      await this.#flushGathered();
      return { meta, fileBytes: this.#flushedBytes };
    } finally {
      if (this.#gathered !== undefined) this.#buffers.give(this.#gathered);
      this.#gathered = undefined;
    }
  }

  /** Holds room for what is there, and refuses what can never fit before anything is evicted for it. */
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

  #assertRight(meta: ObjectMeta): void {
    const crc = this.#checksums.whole;
    if (meta.sizeBytes === this.#sizeBytes && meta.crc32 === crc) return;
    throw new VitrineError(
      "tier_failed",
      `Storing an object: ${this.#sizeBytes} bytes with checksum ${crc} came, ${meta.sizeBytes} with ${meta.crc32} were announced`,
    );
  }

  /** A chunk is only valid until the next one is asked for: it is copied or written before this returns. */
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
      // The disk itself is full, whatever our own limit says: give it what is not needed, once.
      if (errorCode(error) !== "ENOSPC" || !await this.#room.relieve(Math.max(bytes.length * 2, 8 * BLOCK_BYTES))) {
        throw error;
      }
      await this.#file.write(bytes, this.#flushedBytes);
    }
    this.#flushedBytes = end;
  }

  /**
   * Room for `end` bytes, and ahead of them at most as much again: what is announced and does not come evicts nothing.
   */
  async #hold(end: number): Promise<void> {
    const wanted = Math.max(end, Math.min(2 * end, this.#announcedBytes));
    this.#heldBytes = await this.#room.hold(wanted - this.#heldBytes, this.#heldBytes);
  }
}
