import { randomBytes } from "node:crypto";
import { crc32 } from "node:zlib";
import { VitrineError } from "../../core/errors.ts";
import type { ObjectKey, ObjectMeta } from "../../core/object.ts";
import { InFlight } from "../calls.ts";
import { CHUNK_BYTES, CHUNK_HEAD_BYTES, openChunk, sealChunk } from "./layout.ts";
import type { Objects } from "./objects.ts";
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
  readonly #inFlight = new InFlight(IN_FLIGHT);
  /** The checksum's bytes, then payload. */
  #chunk: Buffer;
  #filled = 0;
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
    await this.#inFlight.done();
    return { ...written, bytes: undefined, chunks: this.#sent };
  }

  /** Removes the chunks that were sent. Never throws: a chunk that cannot be removed expires. */
  async abandon(): Promise<void> {
    if (this.#sent === 0) return;
    await this.#inFlight.settled();
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
    await this.#inFlight.room();
    const bytes = this.#chunk.subarray(0, CHUNK_HEAD_BYTES + this.#filled);
    const id = { generation: this.generation, index: this.#sent };
    sealChunk(bytes, id);
    this.#sent += 1;
    this.#chunk = room(CHUNK_BYTES);
    this.#filled = 0;
    this.#inFlight.start(this.#objects.putChunk(this.#key, { ...id, bytes, ttlMs: ORPHAN_MS }));
  }
}

function room(payloadBytes: number): Buffer {
  return Buffer.from(new ArrayBuffer(CHUNK_HEAD_BYTES + payloadBytes));
}

/** Number of chunks that are fetched ahead. */
const AHEAD = 2;

/** Options of a read of a large object. */
export interface ChunkedRead {
  readonly key: ObjectKey;
  readonly generation: string;
  readonly meta: ObjectMeta;
  readonly start: number;
  /** Exclusive. */
  readonly end: number;
  readonly isClosed: () => boolean;
  /** Called if a chunk is damaged ("corrupt"), or is gone although its object is there ("capacity"). */
  readonly onBroken: (reason: "corrupt" | "capacity") => Promise<void>;
}

/**
 * Opens the bytes of a large object and verifies their first chunk; undefined if it is damaged or gone. Chunks are
 * fetched a little ahead of the reader, and each is verified before it is returned.
 */
export async function readChunks(objects: Objects, read: ChunkedRead): Promise<AsyncIterable<Uint8Array> | undefined> {
  const first = Math.floor(read.start / CHUNK_BYTES);
  const chunk = read.start === read.end ? Buffer.alloc(0) : await fetchChunk(objects, read, first);
  return chunk && rest(objects, read, { first, chunk });
}

async function* rest(
  objects: Objects,
  read: ChunkedRead,
  { first, chunk }: { readonly first: number; readonly chunk: Buffer },
): AsyncGenerator<Uint8Array, void, void> {
  const last = Math.ceil(read.end / CHUNK_BYTES) - 1;
  const ahead: Promise<Buffer | undefined>[] = [];
  let asked = first;
  let now: Buffer | undefined = chunk;
  for (let index = first; index <= last; index += 1) {
    if (read.isClosed()) throw new VitrineError("tier_failed", "load object: the tier is closed");
    while (asked < Math.min(last, index + AHEAD)) {
      asked += 1;
      const asking = fetchChunk(objects, read, asked);
      // May never be awaited if the reader stops early.
      asking.catch(() => {});
      ahead.push(asking);
    }
    if (index > first) now = await ahead.shift();
    if (now === undefined) {
      throw new VitrineError("tier_failed", `load object: chunk ${index} is damaged or gone`);
    }
    const from = index * CHUNK_BYTES;
    const part = now.subarray(Math.max(0, read.start - from), Math.min(CHUNK_BYTES, read.end - from));
    if (part.length > 0) yield part;
  }
}

/** Returns the payload of one chunk; undefined if it is gone or damaged, after `onBroken`. */
async function fetchChunk(objects: Objects, read: ChunkedRead, index: number): Promise<Buffer | undefined> {
  const id = { generation: read.generation, index };
  const stored = await objects.getChunk(read.key, id);
  const payload = stored && openChunk(stored, id);
  const length = Math.min(CHUNK_BYTES, read.meta.sizeBytes - index * CHUNK_BYTES);
  if (payload?.length === length) return payload;
  await read.onBroken(stored === undefined ? "capacity" : "corrupt");
  return undefined;
}
