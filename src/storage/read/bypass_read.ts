import type { ObjectKey } from "../../core/key.ts";
import type { ObjectMeta } from "../../core/object.ts";
import type { L2Load } from "../../l2/adapter.ts";
import type { StorageContext } from "../context.ts";
import { memoryChunks } from "../memory_chunks.ts";
import { discardLoad, type TierReader } from "../tiers/tier_reader.ts";
import { loadChunks } from "../tiers/load_chunks.ts";
import type { ObjectRead } from "../storage.ts";

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

  /** Holds back the last chunk until the load has succeeded: a reader that gets all bytes has the right ones. */
  async *chunks(start: number, end: number): AsyncGenerator<Uint8Array, void, void> {
    if (start >= end) return;
    const whole = start === 0 && end === this.meta.sizeBytes;
    const opened = whole ? this.#take() : undefined;
    let held: Uint8Array | undefined;
    for await (const chunk of loadChunks(this.#context, { ...this.#options, start, end, opened })) {
      if (held !== undefined) yield* memoryChunks([held], 0, held.length);
      held = chunk;
    }
    if (held !== undefined) yield* memoryChunks([held], 0, held.length);
  }

  release(outcome: "finished" | "aborted"): void {
    if (this.#released) return;
    this.#released = true;
    const opened = this.#take();
    if (opened !== undefined) void discardLoad(opened);
    const { tenant, requestId } = this.#options.key;
    if (outcome === "finished") {
      this.#context.publish("sm.read.finished", { tenant, keys: 1, bytes: this.meta.sizeBytes, requestId });
    } else {
      this.#context.publish("sm.read.aborted", { tenant, keys: 1, requestId });
    }
  }

  #take(): L2Load | undefined {
    const opened = this.#opened;
    this.#opened = undefined;
    return opened;
  }
}
