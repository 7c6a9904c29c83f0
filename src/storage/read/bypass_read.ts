import type { ObjectKey, ObjectMeta } from "../../core/object.ts";
import type { L2Load } from "../../l2/adapter.ts";
import type { StorageContext } from "../context.ts";
import { memoryChunks } from "../leased_memory.ts";
import type { ObjectRead } from "../storage.ts";
import { loadChunks } from "../tiers/load_chunks.ts";
import { discardLoad, type TierReader } from "../tiers/tier_reader.ts";

/** Options of a BypassRead. */
export interface BypassReadOptions {
  readonly key: ObjectKey;
  readonly meta: ObjectMeta;
  /** Tiers that may have this version. The first one has reported it. */
  readonly tiers: readonly TierReader[];
  readonly tier: string;
  /** An open load of the whole object in the first of the tiers; this read closes it. */
  readonly opened?: L2Load | undefined;
}

/**
 * A read that streams from the tiers and bypasses L1: for objects above the admission limit, or when L1 has no room.
 */
export class BypassRead implements ObjectRead {
  readonly meta: ObjectMeta;
  readonly tier: string;
  readonly #context: StorageContext;
  readonly #options: BypassReadOptions;
  #opened: L2Load | undefined;
  #released = false;

  constructor(context: StorageContext, options: BypassReadOptions) {
    this.#context = context;
    this.#options = options;
    this.#opened = options.opened;
    this.meta = options.meta;
    this.tier = options.tier;
  }

  copy(): undefined {
    return undefined;
  }

  /**
   * Holds back the last chunk until the load has succeeded: a reader that gets all bytes has the right ones. A range is
   * a load of its own; if the object was replaced or removed meanwhile, the open load of the whole object has it.
   */
  async *chunks(start: number, end: number): AsyncGenerator<Uint8Array, void, void> {
    if (start >= end) return;
    if (start === 0 && end === this.meta.sizeBytes) {
      yield* withLastHeldBack(loadChunks(this.#context, { ...this.#options, start, end, opened: this.#take() }));
      return;
    }
    const range = { ...this.#options, opened: undefined, start, end };
    let at = start;
    try {
      for await (const chunk of withLastHeldBack(loadChunks(this.#context, range))) {
        at += chunk.length;
        yield chunk;
      }
    } catch (error) {
      const whole = this.#take();
      if (whole === undefined) throw error;
      const opened = { meta: whole.meta, chunks: partOf(whole.chunks, at, end) };
      const tiers = this.#options.tiers.slice(0, 1);
      yield* withLastHeldBack(loadChunks(this.#context, { ...this.#options, tiers, start: at, end, opened }));
    }
  }

  release(outcome: "finished" | "aborted" | "unread"): void {
    if (this.#released) return;
    this.#released = true;
    const opened = this.#take();
    if (opened !== undefined) void discardLoad(opened);
    const { tenant, requestId } = this.#options.key;
    if (outcome === "finished") {
      this.#context.publish("sm.read.finished", { tenant, keys: 1, bytes: this.meta.sizeBytes, requestId });
    } else if (outcome === "aborted") {
      this.#context.publish("sm.read.aborted", { tenant, keys: 1, requestId });
    }
  }

  #take(): L2Load | undefined {
    const opened = this.#opened;
    this.#opened = undefined;
    return opened;
  }
}

async function* withLastHeldBack(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array, void, void> {
  let held: Uint8Array | undefined;
  for await (const chunk of chunks) {
    if (held !== undefined) yield* memoryChunks([held], 0, held.length);
    held = chunk;
  }
  if (held !== undefined) yield* memoryChunks([held], 0, held.length);
}

/** The bytes [start, end) of chunks that begin at byte 0. */
async function* partOf(
  chunks: AsyncIterable<Uint8Array>,
  start: number,
  end: number,
): AsyncGenerator<Uint8Array, void, void> {
  let at = 0;
  for await (const chunk of chunks) {
    const part = chunk.subarray(Math.max(0, start - at), Math.max(0, end - at));
    at += chunk.length;
    if (part.length > 0) yield part;
    if (at >= end) return;
  }
}
