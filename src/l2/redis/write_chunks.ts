import { randomBytes } from "node:crypto";
import { crc32 } from "node:zlib";
import { VitrineError } from "../../core/errors.ts";
import type { ObjectKey } from "../../core/key.ts";
import type { ObjectMeta } from "../../core/object.ts";
import { CHUNK_BYTES } from "./keys.ts";
import type { Objects } from "./objects.ts";
import { CHUNK_HEAD_BYTES, sealChunk } from "./record.ts";

/** Maximum number of chunks in flight. */
const IN_FLIGHT = 4;
/**
 * Milliseconds after which uncommitted chunks expire: the maximum duration of an upload, and the lifetime of what a
 * crash leaves behind.
 */
const ORPHAN_MS = 3_600_000;

/** The bytes of a store, ready for its commit. */
export interface WrittenBytes {
  readonly generation: string;
  /** All bytes if they fit into one value; undefined if they are in chunks. */
  readonly bytes: Buffer | undefined;
  /** Number of chunks that were written. */
  readonly chunks: number;
  readonly sizeBytes: number;
  readonly crc: number;
}

/**
 * Sends the bytes of a store to the engine as they arrive, with bounded memory. Small objects are kept in memory for
 * the commit.
 */
export class ChunkWriter {
  readonly generation: string = randomBytes(15).toString("base64url");
  readonly #objects: Objects;
  readonly #key: ObjectKey;
  readonly #inFlight = new Set<Promise<void>>();
  /** The checksum's bytes, then payload. */
  #chunk: Buffer;
  #filled = 0;
  #failure: { readonly cause: unknown } | undefined;
  /** Number of chunks that were sent. */
  #sent = 0;
  #sizeBytes = 0;
  #crc = 0;

  constructor(objects: Objects, key: ObjectKey, sizeBytes = 64 * 1024) {
    this.#objects = objects;
    this.#key = key;
    this.#chunk = room(Math.min(sizeBytes, CHUNK_BYTES));
  }

  /** Writes all chunks of a source. Throws what the source throws; tier_failed or no_room if the engine fails. */
  async write(source: AsyncIterable<Uint8Array>): Promise<WrittenBytes> {
    for await (const chunk of source) {
      for (let at = 0; at < chunk.length;) {
        if (this.#filled === CHUNK_BYTES) await this.#send();
        at += this.#take(chunk.subarray(at, at + CHUNK_BYTES - this.#filled));
      }
    }
    const written = { generation: this.generation, sizeBytes: this.#sizeBytes, crc: this.#crc };
    if (this.#sent === 0) return { ...written, bytes: this.#payload(), chunks: 0 };
    await this.#send();
    await Promise.all(this.#inFlight);
    this.#assertSound();
    return { ...written, bytes: undefined, chunks: this.#sent };
  }

  /** Removes the chunks that were sent. Never throws: a chunk that cannot be removed expires. */
  async abandon(): Promise<void> {
    if (this.#sent === 0) return;
    await Promise.all(this.#inFlight);
    await this.#objects.dropChunks(this.#key, { generation: this.generation, count: this.#sent }).catch(() => {});
  }

  #take(part: Uint8Array): number {
    const needed = this.#filled + part.length;
    const roomBytes = this.#chunk.length - CHUNK_HEAD_BYTES;
    if (needed > roomBytes) {
      const larger = room(Math.min(CHUNK_BYTES, Math.max(needed, 4 * roomBytes)));
      larger.set(this.#chunk.subarray(0, CHUNK_HEAD_BYTES + this.#filled));
      this.#chunk = larger;
    }
    this.#chunk.set(part, CHUNK_HEAD_BYTES + this.#filled);
    // Computed over the copy, because the source's memory may be shared.
    this.#crc = crc32(this.#chunk.subarray(CHUNK_HEAD_BYTES + this.#filled, CHUNK_HEAD_BYTES + needed), this.#crc);
    this.#filled = needed;
    this.#sizeBytes += part.length;
    return part.length;
  }

  #payload(): Buffer {
    return this.#chunk.subarray(CHUNK_HEAD_BYTES, CHUNK_HEAD_BYTES + this.#filled);
  }

  /** Sends the current chunk, once fewer than IN_FLIGHT are in flight. */
  async #send(): Promise<void> {
    while (this.#inFlight.size >= IN_FLIGHT) await Promise.race(this.#inFlight);
    this.#assertSound();
    const bytes = this.#chunk.subarray(0, CHUNK_HEAD_BYTES + this.#filled);
    const place = { generation: this.generation, index: this.#sent };
    sealChunk(bytes, place);
    this.#sent += 1;
    this.#chunk = room(CHUNK_BYTES);
    this.#filled = 0;
    const sending = this.#objects.putChunk(this.#key, { ...place, bytes, ttlMs: ORPHAN_MS })
      .catch((cause: unknown) => void (this.#failure ??= { cause }))
      .then(() => void this.#inFlight.delete(sending));
    this.#inFlight.add(sending);
  }

  #assertSound(): void {
    if (this.#failure !== undefined) throw this.#failure.cause;
  }
}

/** Throws tier_failed if the received bytes are not those that were announced. */
export function assertAnnounced({ sizeBytes, crc }: WrittenBytes, meta: ObjectMeta): void {
  if (meta.sizeBytes === sizeBytes && meta.crc32 === crc) return;
  throw new VitrineError(
    "tier_failed",
    `store object: ${sizeBytes} bytes with checksum ${crc} came, ${meta.sizeBytes} with ${meta.crc32} were announced`,
  );
}

function room(payloadBytes: number): Buffer {
  return Buffer.from(new ArrayBuffer(CHUNK_HEAD_BYTES + payloadBytes));
}
