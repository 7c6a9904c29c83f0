import { VitrineError } from "../../core/errors.ts";
import type { ObjectKey } from "../../core/key.ts";
import type { ObjectMeta } from "../../core/object.ts";
import type { Resident } from "../../l1/l1.ts";
import type { StorageContext } from "../context.ts";
import { memoryChunks } from "../memory_chunks.ts";
import type { ObjectRead } from "../storage.ts";

/** Progress of the load behind a read. */
export interface Filling {
  /** Bytes from the start that may be read now; undefined once the load has failed. */
  readableBytes(): number | undefined;
  /** Resolves when more than `beyond` bytes may be present, or the load may have failed. */
  changed(beyond: number): Promise<void>;
  /** The cause of a failed load, if this thread knows it. */
  failure?(): unknown;
}

/** Options of a MemoryRead. */
export interface MemoryReadOptions {
  readonly key: ObjectKey;
  /** `release` gives its lease back. */
  readonly resident: Resident;
  readonly tier: string;
  /** Set while the object is still being loaded. */
  readonly filling?: Filling;
  /** Another source of the same bytes, for a load that fails before any of them were handed out. */
  readonly instead?: (start: number, end: number) => AsyncGenerator<Uint8Array, void, void>;
  readonly onRelease?: () => void;
}

/** A read of an object that is in L1, or is being loaded into it, through a read lease of its own. */
export class MemoryRead implements ObjectRead {
  readonly meta: ObjectMeta;
  readonly tier: string;
  readonly #context: StorageContext;
  readonly #options: MemoryReadOptions;
  #released = false;

  constructor(context: StorageContext, options: MemoryReadOptions) {
    this.#context = context;
    this.#options = options;
    this.meta = options.resident.meta;
    this.tier = options.tier;
    context.keeper.keep(options.resident.lease);
  }

  copy(start: number, end: number): Uint8Array<ArrayBuffer> | undefined {
    const { filling } = this.#options;
    const readable = filling === undefined ? this.meta.sizeBytes : filling.readableBytes() ?? -1;
    if (end > readable || !this.#alive()) return undefined;
    const bytes = new Uint8Array(end - start);
    let at = 0;
    for (const chunk of memoryChunks(this.#options.resident.extents, start, end)) {
      bytes.set(chunk, at);
      at += chunk.length;
    }
    return bytes;
  }

  async *chunks(start: number, end: number): AsyncGenerator<Uint8Array, void, void> {
    const { filling, instead } = this.#options;
    let at = start;
    while (at < end) {
      if (at === start && instead !== undefined && filling?.readableBytes() === undefined) {
        yield* instead(start, end);
        return;
      }
      const readable = Math.min(end, this.#readableBytes());
      if (readable <= at) {
        await filling?.changed(at);
        continue;
      }
      for (const chunk of memoryChunks(this.#options.resident.extents, at, readable)) {
        this.#readableBytes();
        if (!this.#alive()) {
          this.#context.publish("l1.read.failed", {
            during: "l1_retrieve",
            reason: "not_found",
            keys: 1,
            requestId: this.#options.key.requestId,
          });
          throw new VitrineError("tier_failed", "read object: its lease has run out", { details: { tier: "l1" } });
        }
        at += chunk.length;
        yield chunk;
      }
    }
  }

  release(outcome: "finished" | "aborted"): void {
    if (this.#released) return;
    this.#released = true;
    const { key, resident } = this.#options;
    this.#context.keeper.drop(resident.lease);
    this.#context.l1.finishRead([resident.lease]);
    const { tenant, requestId } = key;
    if (outcome === "finished") {
      this.#context.publish("sm.read.finished", { tenant, keys: 1, bytes: this.meta.sizeBytes, requestId });
    } else {
      this.#context.publish("sm.read.aborted", { tenant, keys: 1, requestId });
    }
    this.#options.onRelease?.();
  }

  /**
   * Asks L1 rather than the keeper: after a stall of the whole process the memory may be gone before the keeper
   * notices.
   */
  #alive(): boolean {
    return !this.#released && this.#context.l1.renew(this.#options.resident.lease);
  }

  #readableBytes(): number {
    const { filling } = this.#options;
    if (filling === undefined) return this.meta.sizeBytes;
    const readable = filling.readableBytes();
    if (readable !== undefined) return readable;
    const details = { tier: this.tier };
    throw new VitrineError("tier_failed", "read object: its load failed half-way", {
      cause: filling.failure?.(),
      details,
    });
  }
}
