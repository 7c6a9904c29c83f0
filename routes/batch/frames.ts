import { Buffer } from "node:buffer";
import { VitrineError } from "../../src/core/errors.ts";
import { AT_ONCE_BYTES } from "../../src/storage/storage.ts";

/**
 * A body of frames carries many objects. A frame is
 *
 * | bytes | content                                       |
 * | ----- | --------------------------------------------- |
 * | 4     | H, the length of the header, big-endian       |
 * | 8     | B, the length of the body, big-endian         |
 * | H     | the header, JSON in UTF-8                     |
 * | B     | the body                                      |
 */
const LENGTHS_BYTES = 12;
/** The kept header fields of an object take 4096 bytes, and its key 1024. */
export const MAX_FRAME_HEADER_BYTES = 64 * 1024;

/** The media type of a body of frames. */
export const FRAMES_TYPE = "application/vnd.vitrine.frames";

/** The lengths and the header of a frame whose body follows. */
export function frameHead(header: object, bodyBytes: number): Uint8Array<ArrayBuffer> {
  const text = JSON.stringify(header);
  const head = Buffer.alloc(maxHeadBytes(text));
  return head.subarray(0, writeHead(head, 0, text, bodyBytes));
}

/** A UTF-16 unit takes at most three bytes. */
function maxHeadBytes(text: string): number {
  return LENGTHS_BYTES + text.length * 3;
}

/** Writes the lengths and the header at `at`; returns where the body follows. */
function writeHead(to: Buffer, at: number, text: string, bodyBytes: number): number {
  const headerBytes = to.write(text, at + LENGTHS_BYTES);
  to.writeUInt32BE(headerBytes, at);
  to.writeUInt32BE(Math.floor(bodyBytes / 2 ** 32), at + 4);
  to.writeUInt32BE(bodyBytes % 2 ** 32, at + 8);
  return at + LENGTHS_BYTES + headerBytes;
}

/** Reads frames from a body that arrives in chunks. */
export class FrameReader {
  readonly #next: () => Promise<Uint8Array | undefined>;
  #chunk: Uint8Array = new Uint8Array();
  /** What is not read of the body of the last frame. */
  #unreadBytes = 0;
  #isBroken = false;

  /** `next` resolves to the next chunk, or undefined at the end of the body. A chunk is done with at the next call. */
  constructor(next: () => Promise<Uint8Array | undefined>) {
    this.#next = next;
  }

  /** True once reading has failed: no frame can be found any more. */
  get isBroken(): boolean {
    return this.#isBroken;
  }

  /**
   * The next frame's header and the length of its body; undefined at the end. What is not read of the last body is
   * passed over. Throws bad_request.
   */
  async head(): Promise<{ readonly header: unknown; readonly bodyBytes: number } | undefined> {
    while (await this.piece() !== undefined);
    if (await this.#isAtEnd()) return undefined;
    const lengths = await this.#exactly(LENGTHS_BYTES);
    const view = new DataView(lengths.buffer, lengths.byteOffset);
    const headerBytes = view.getUint32(0);
    const bodyBytes = Number(view.getBigUint64(4));
    if (headerBytes > MAX_FRAME_HEADER_BYTES) {
      throw this.#broken(`a header of ${headerBytes} bytes, more than ${MAX_FRAME_HEADER_BYTES}`);
    }
    if (!Number.isSafeInteger(bodyBytes)) throw this.#broken(`a body of ${bodyBytes} bytes`);
    const text = await this.#exactly(headerBytes);
    try {
      const header: unknown = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(text));
      this.#unreadBytes = bodyBytes;
      return { header, bodyBytes };
    } catch (cause) {
      throw this.#broken("a header that is not JSON", cause);
    }
  }

  /**
   * The next bytes of the frame's body, valid until the next call; undefined at its end. A body of at most
   * `AT_ONCE_BYTES` is one piece, in memory of its own. Throws bad_request.
   */
  async piece(): Promise<Uint8Array | undefined> {
    const unread = this.#unreadBytes;
    if (unread === 0) return undefined;
    const bytes = await (unread <= AT_ONCE_BYTES ? this.#joined(unread) : this.#some(unread));
    this.#unreadBytes -= bytes.length;
    return bytes;
  }

  async #some(maxBytes: number): Promise<Uint8Array> {
    if (await this.#isAtEnd()) throw this.#broken("it ends within a frame");
    const bytes = this.#chunk.subarray(0, maxBytes);
    this.#chunk = this.#chunk.subarray(bytes.length);
    return bytes;
  }

  async #exactly(bytes: number): Promise<Uint8Array> {
    return await (this.#chunk.length >= bytes ? this.#some(bytes) : this.#joined(bytes));
  }

  async #joined(bytes: number): Promise<Uint8Array> {
    const joined = new Uint8Array(bytes);
    for (let at = 0; at < bytes;) {
      const part = await this.#some(bytes - at);
      joined.set(part, at);
      at += part.length;
    }
    return joined;
  }

  async #isAtEnd(): Promise<boolean> {
    while (this.#chunk.length === 0) {
      try {
        const chunk = await this.#next();
        if (chunk === undefined) return true;
        this.#chunk = chunk;
      } catch (error) {
        this.#isBroken = true;
        throw error;
      }
    }
    return false;
  }

  #broken(why: string, cause?: unknown): VitrineError {
    this.#isBroken = true;
    return new VitrineError("bad_request", `parse frames: ${why}`, { cause });
  }
}

/** Size of the blocks in which frames are sent, in bytes. */
const BLOCK_BYTES = 256 * 1024;

/** Gathers frames in blocks of private memory, so that small objects do not leave one by one. */
export class FrameBlocks {
  #block = Buffer.alloc(BLOCK_BYTES);
  #used = 0;
  #full: Uint8Array<ArrayBuffer>[] = [];

  /** Begins a frame whose body, of `bodyBytes`, is appended next. */
  begin(header: object, bodyBytes: number): void {
    const text = JSON.stringify(header);
    if (maxHeadBytes(text) > BLOCK_BYTES - this.#used) this.append(frameHead(header, bodyBytes));
    else this.#used = writeHead(this.#block, this.#used, text, bodyBytes);
  }

  /** Copies the bytes. */
  append(bytes: Uint8Array): void {
    for (let from = 0; from < bytes.length;) {
      const part = bytes.subarray(from, from + BLOCK_BYTES - this.#used);
      this.#block.set(part, this.#used);
      this.#used += part.length;
      from += part.length;
      if (this.#used === BLOCK_BYTES) this.#close();
    }
  }

  /** The blocks that are full. */
  takeFull(): readonly Uint8Array<ArrayBuffer>[] {
    const full = this.#full;
    this.#full = [];
    return full;
  }

  /** All that was appended. */
  takeAll(): readonly Uint8Array<ArrayBuffer>[] {
    if (this.#used > 0) this.#close();
    return this.takeFull();
  }

  #close(): void {
    this.#full.push(this.#block.subarray(0, this.#used));
    this.#block = Buffer.alloc(BLOCK_BYTES);
    this.#used = 0;
  }
}
