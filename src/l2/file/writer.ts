import { crc32 } from "node:zlib";
import { VitrineError } from "../../core/errors.ts";
import type { ObjectKey } from "../../core/key.ts";
import type { ObjectMeta } from "../../core/object.ts";
import type { StoreSource } from "../adapter.ts";
import { type DiskFile, errorCode } from "./disk.ts";
import { BLOCK_BYTES, encodeTail } from "./format.ts";

/** Chunks below this are gathered into writes of this size. */
const GATHER_BYTES = 256 * 1024;

/** A usual tail, so that a small object leaves in one write. */
const TAIL_HINT_BYTES = 4096;

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
  readonly #blockCrcs: number[] = [];
  #gathered: Uint8Array = new Uint8Array(0);
  #gatheredBytes = 0;
  #flushedBytes = 0;
  #blockFill = 0;
  #blockCrc = 0;
  #crc = 0;
  #sizeBytes = 0;
  #heldBytes = 0;
  #announcedBytes = 0;

  constructor(file: DiskFile, room: WriterRoom) {
    this.#file = file;
    this.#room = room;
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
    const { sizeBytes } = source;
    this.#announcedBytes = sizeBytes ?? 0;
    // What can never fit must evict nothing.
    await this.#room.hold(0, this.#announcedBytes);
    this.#gathered = new Uint8Array(Math.min(GATHER_BYTES, (sizeBytes ?? GATHER_BYTES) + TAIL_HINT_BYTES));
    for await (const chunk of source.chunks) {
      this.#checksum(chunk);
      await this.#put(chunk);
    }
    if (this.#blockFill > 0) this.#blockCrcs.push(this.#blockCrc);
    const meta = source.meta();
    if (meta.sizeBytes !== this.#sizeBytes || meta.crc32 !== this.#crc) {
      throw new VitrineError(
        "tier_failed",
        `Storing an object: ${this.#sizeBytes} bytes with checksum ${this.#crc} came, ${meta.sizeBytes} with ${meta.crc32} were announced`,
      );
    }
    await this.#put(encodeTail({ key, meta }, this.#blockCrcs));
    await this.#flush(this.#gathered.subarray(0, this.#gatheredBytes));
    return { meta, fileBytes: this.#flushedBytes };
  }

  #checksum(chunk: Uint8Array): void {
    this.#crc = crc32(chunk, this.#crc);
    this.#sizeBytes += chunk.length;
    for (let at = 0; at < chunk.length;) {
      const part = chunk.subarray(at, at + BLOCK_BYTES - this.#blockFill);
      this.#blockCrc = crc32(part, this.#blockCrc);
      this.#blockFill += part.length;
      at += part.length;
      if (this.#blockFill < BLOCK_BYTES) continue;
      this.#blockCrcs.push(this.#blockCrc);
      this.#blockFill = 0;
      this.#blockCrc = 0;
    }
  }

  /** A chunk is only valid until the next one is asked for: it is copied or written before this returns. */
  async #put(chunk: Uint8Array): Promise<void> {
    if (this.#gatheredBytes + chunk.length > this.#gathered.length) {
      await this.#flush(this.#gathered.subarray(0, this.#gatheredBytes));
      this.#gatheredBytes = 0;
    }
    if (chunk.length >= this.#gathered.length) return await this.#flush(chunk);
    this.#gathered.set(chunk, this.#gatheredBytes);
    this.#gatheredBytes += chunk.length;
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
