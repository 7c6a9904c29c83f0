import { promisify } from "node:util";
import { crc32, zstdCompress, zstdCompressSync, zstdDecompress, zstdDecompressSync } from "node:zlib";
import { VitrineError } from "../../core/errors.ts";
import type { ByteRange } from "../calls.ts";
import { type ObjectCipher, TAG_BYTES } from "./cipher.ts";

/** Bytes of an object in one frame; the last frame may have fewer. */
export const FRAME_BYTES = 256 * 1024;
/** Bytes of a frame's head: the length of its payload, and a CRC-32 of it, both u32 little-endian. */
export const FRAME_HEAD_BYTES = 8;
const TABLE_ENTRY_BYTES = 4;
/** Up to this size, compressing in this thread takes less time than having it done by another one. */
const LIGHT_BYTES = 32 * 1024;

const compressElsewhere = promisify(zstdCompress);
const decompressElsewhere = promisify(zstdDecompress);

/** The frames of an object, of this plain size, that a cipher may have encrypted. */
export interface Frames {
  readonly sizeBytes: number;
  readonly cipher?: ObjectCipher | undefined;
}

/** An encoded frame. */
export interface EncodedFrame {
  readonly head: Uint8Array;
  /** The plain bytes themselves, in the same memory, if they are neither compressed nor encrypted. */
  readonly payload: Uint8Array<ArrayBuffer>;
  readonly isCompressed: boolean;
}

/** Bytes by which encryption makes a frame longer than its plain bytes, if it is not compressed. */
export const ENCRYPTED_FRAME_BYTES = FRAME_HEAD_BYTES + TAG_BYTES;

/** Returns the number of frames of an object. */
export function frameCount({ sizeBytes }: Pick<Frames, "sizeBytes">): number {
  return Math.ceil(sizeBytes / FRAME_BYTES);
}

/** Encodes a frame: compresses it, unless that does not make it smaller, and then encrypts it. */
export async function encodeFrame(
  number: number,
  plain: Uint8Array<ArrayBuffer>,
  { compresses, cipher }: { readonly compresses: boolean; readonly cipher: ObjectCipher | undefined },
): Promise<EncodedFrame> {
  const compressed = compresses ? await compress(plain) : plain;
  const isCompressed = compressed.length + FRAME_HEAD_BYTES < plain.length;
  const bytes = isCompressed ? compressed : plain;
  const payload = await cipher?.seal(number, bytes) ?? bytes;
  const head = Buffer.alloc(FRAME_HEAD_BYTES);
  head.writeUInt32LE(payload.length, 0);
  head.writeUInt32LE(crcOf(number, payload), 4);
  return { head, payload, isCompressed };
}

/** Returns the length of a frame's payload. Throws tier_failed if it cannot be one of this object's. */
export function payloadBytesOf(head: Uint8Array, number: number, frames: Frames): number {
  const length = view(head).getUint32(0, true);
  if (length > plainBytesOf(number, frames) + tagBytes(frames)) throw damaged(number);
  return length;
}

/** Encodes the table of the lengths of an object's payloads, u32 little-endian. */
export function encodeTable(lengths: readonly number[]): Uint8Array {
  const table = Buffer.alloc(lengths.length * TABLE_ENTRY_BYTES);
  for (const [number, length] of lengths.entries()) table.writeUInt32LE(length, number * TABLE_ENTRY_BYTES);
  return table;
}

/** Returns the length of an object's table. */
export function tableBytes(frames: Frames): number {
  return frameCount(frames) * TABLE_ENTRY_BYTES;
}

/** Returns where a frame starts among the encoded bytes; without a table, all frames are of full length. */
export function frameStart(number: number, frames: Frames, table: Uint8Array | undefined): number {
  const before = Math.min(number, frameCount(frames));
  if (table === undefined) {
    const plainBytes = Math.min(before * FRAME_BYTES, frames.sizeBytes);
    return plainBytes + before * (FRAME_HEAD_BYTES + tagBytes(frames));
  }
  const lengths = Array.from({ length: before }, (_, each) => view(table).getUint32(each * TABLE_ENTRY_BYTES, true));
  return lengths.reduce((sum, length) => sum + length, before * FRAME_HEAD_BYTES);
}

/**
 * Returns the plain bytes of a frame, in the memory of `payload` if it is neither compressed nor encrypted. Throws
 * tier_failed if they are not those that were stored.
 */
export async function decodeFrame(
  number: number,
  { head, payload }: Omit<EncodedFrame, "isCompressed">,
  frames: Frames,
): Promise<Uint8Array<ArrayBuffer>> {
  if (view(head).getUint32(4, true) !== crcOf(number, payload)) throw damaged(number);
  const bytes = await frames.cipher?.open(number, payload) ?? payload;
  const plainBytes = plainBytesOf(number, frames);
  if (bytes.length === plainBytes) return bytes;
  const plain = await decompress(bytes, plainBytes).catch((cause: unknown) => {
    throw damaged(number, cause);
  });
  if (plain.length !== plainBytes) throw damaged(number);
  return plain;
}

function tagBytes({ cipher }: Frames): number {
  return cipher === undefined ? 0 : TAG_BYTES;
}

function plainBytesOf(number: number, { sizeBytes }: Frames): number {
  return Math.min(FRAME_BYTES, sizeBytes - number * FRAME_BYTES);
}

/** The number is part of the checksum, so that a frame in the wrong place is noticed. */
function crcOf(number: number, payload: Uint8Array): number {
  return crc32(payload, crc32(`frame ${number}`));
}

async function compress(plain: Uint8Array<ArrayBuffer>): Promise<Uint8Array<ArrayBuffer>> {
  return plain.length <= LIGHT_BYTES ? zstdCompressSync(plain) : await compressElsewhere(plain);
}

async function decompress(bytes: Uint8Array, maxOutputLength: number): Promise<Uint8Array<ArrayBuffer>> {
  const options = { maxOutputLength };
  return maxOutputLength <= LIGHT_BYTES
    ? zstdDecompressSync(bytes, options)
    : await decompressElsewhere(bytes, options);
}

function view({ buffer, byteOffset, byteLength }: Uint8Array): DataView {
  return new DataView(buffer, byteOffset, byteLength);
}

function damaged(number: number, cause?: unknown): VitrineError {
  return new VitrineError("tier_failed", `decode object: frame ${number} is not as it was stored`, { cause });
}

/** Decodes frames of an object as they come from the tier. Frees the tier's load at the end, or on `return`. */
export class FrameReader implements AsyncIterableIterator<Uint8Array> {
  readonly #frames: Frames;
  readonly #range: ByteRange;
  readonly #bytes: ByteReader;
  readonly #buffers: Uint8Array<ArrayBuffer>[] = [new Uint8Array(), new Uint8Array()];
  #number: number;

  /** Reads encoded bytes that start with the first frame of the range. */
  constructor(encoded: AsyncIterable<Uint8Array>, { frames, range }: {
    readonly frames: Frames;
    readonly range: ByteRange;
  }) {
    this.#frames = frames;
    this.#range = range;
    this.#bytes = new ByteReader(encoded);
    this.#number = Math.floor(range.start / FRAME_BYTES);
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  async next(): Promise<IteratorResult<Uint8Array, undefined>> {
    const { start, end } = this.#range;
    const at = this.#number * FRAME_BYTES;
    if (start === end || at >= end || this.#bytes.isClosed) return await this.return();
    try {
      const plain = await this.#frame(this.#number);
      this.#number += 1;
      const from = Math.max(0, start - at);
      // Not as a Buffer: the slice of one is no copy.
      const { buffer, byteOffset } = plain;
      const value = new Uint8Array(buffer, byteOffset + from, Math.min(plain.length, end - at) - from);
      return { done: false, value };
    } catch (error) {
      await this.return();
      throw error;
    }
  }

  async return(): Promise<IteratorResult<Uint8Array, undefined>> {
    await this.#bytes.close();
    return { done: true, value: undefined };
  }

  async #frame(number: number): Promise<Uint8Array> {
    const head = await this.#bytes.take(new Uint8Array(FRAME_HEAD_BYTES));
    const length = payloadBytesOf(head, number, this.#frames);
    // The payload may be the plain bytes, which must stay valid while the next frame is read.
    const payload = await this.#bytes.take(this.#room(number % this.#buffers.length, length));
    return await decodeFrame(number, { head, payload }, this.#frames);
  }

  #room(buffer: number, bytes: number): Uint8Array<ArrayBuffer> {
    const existing = this.#buffers[buffer];
    if (existing !== undefined && existing.length >= bytes) return existing.subarray(0, bytes);
    return this.#buffers[buffer] = new Uint8Array(bytes);
  }
}

/** Takes pieces of given lengths out of chunks of any length. */
class ByteReader {
  readonly #chunks: AsyncIterator<Uint8Array>;
  #chunk: Uint8Array = new Uint8Array();
  isClosed = false;

  constructor(chunks: AsyncIterable<Uint8Array>) {
    this.#chunks = chunks[Symbol.asyncIterator]();
  }

  /** Fills `bytes` with the next ones, and returns it. Throws tier_failed if there are not as many. */
  async take(bytes: Uint8Array<ArrayBuffer>): Promise<Uint8Array<ArrayBuffer>> {
    for (let filled = 0; filled < bytes.length;) {
      if (this.#chunk.length === 0) {
        const next = await this.#chunks.next();
        if (next.done === true) throw new VitrineError("tier_failed", "decode object: bytes are missing at its end");
        this.#chunk = next.value;
      }
      const part = this.#chunk.subarray(0, bytes.length - filled);
      bytes.set(part, filled);
      filled += part.length;
      this.#chunk = this.#chunk.subarray(part.length);
    }
    return bytes;
  }

  async close(): Promise<void> {
    if (this.isClosed) return;
    this.isClosed = true;
    await this.#chunks.return?.();
  }
}
