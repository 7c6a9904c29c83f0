import { crc32 } from "node:zlib";
import { VitrineError } from "../../core/errors.ts";
import type { ObjectMeta } from "../../core/object.ts";
import type { ByteRange } from "../calls.ts";
import type { CentralReply } from "./central.ts";

/** Options of LoadedBytes. */
export interface LoadedBytesOptions {
  readonly meta: ObjectMeta;
  /** The bytes that the body has. */
  readonly range: ByteRange;
  /** True once the tier is closed. */
  readonly isClosed: () => boolean;
}

/** The bytes of a load as they come. The last ones are given only if all came and, of a whole object, are right. */
export class LoadedBytes implements AsyncIterableIterator<Uint8Array, void, void> {
  readonly #reply: CentralReply;
  readonly #options: LoadedBytesOptions;
  readonly #reader: ReadableStreamDefaultReader<Uint8Array<ArrayBuffer>> | undefined;
  /** Read, but not given yet: the last chunk until the end has been seen. */
  #held: Uint8Array<ArrayBuffer> | undefined;
  #bytes = 0;
  #crc = 0;
  #isOver = false;

  constructor(reply: CentralReply, options: LoadedBytesOptions) {
    this.#reply = reply;
    this.#options = options;
    this.#reader = reply.body?.getReader();
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  async next(): Promise<IteratorResult<Uint8Array, void>> {
    if (this.#isOver) return { done: true, value: undefined };
    try {
      for (;;) {
        if (this.#options.isClosed()) throw new VitrineError("tier_failed", "load object: the tier is closed");
        const chunk = await this.#read();
        const held = this.#held;
        this.#held = chunk;
        if (chunk === undefined) {
          this.#end();
          this.#check();
        }
        if (held !== undefined) return { done: false, value: held };
        if (chunk === undefined) return { done: true, value: undefined };
      }
    } catch (error) {
      this.#end();
      throw error;
    }
  }

  return(): Promise<IteratorResult<Uint8Array, void>> {
    this.#end();
    return Promise.resolve({ done: true, value: undefined });
  }

  /** The next chunk that is not empty; undefined at the end. */
  async #read(): Promise<Uint8Array<ArrayBuffer> | undefined> {
    for (;;) {
      this.#reply.patience.wait();
      let next: Awaited<ReturnType<ReadableStreamDefaultReader<Uint8Array<ArrayBuffer>>["read"]>> | undefined;
      try {
        next = await this.#reader?.read();
      } catch (cause) {
        throw new VitrineError("tier_failed", "load object: its bytes broke off", { cause });
      } finally {
        this.#reply.patience.rest();
      }
      if (next?.value === undefined) return undefined;
      if (next.value.length === 0) continue;
      this.#bytes += next.value.length;
      this.#crc = crc32(next.value, this.#crc);
      return next.value;
    }
  }

  #check(): void {
    const { meta, range } = this.#options;
    const wanted = range.end - range.start;
    if (this.#bytes !== wanted) {
      throw new VitrineError("tier_failed", `load object: ${this.#bytes} bytes came in place of ${wanted}`);
    }
    if (wanted === meta.sizeBytes && this.#crc !== meta.crc32) {
      throw new VitrineError("tier_failed", "load object: its bytes have another checksum");
    }
  }

  #end(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#held = undefined;
    void this.#reader?.cancel().catch(() => {});
    this.#reply.end();
  }
}
