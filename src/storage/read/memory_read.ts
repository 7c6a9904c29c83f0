import { VitrineError } from "../../core/errors.ts";
import type { ObjectKey, ObjectMeta } from "../../core/object.ts";
import type { Resident } from "../../l1/l1.ts";
import type { StorageContext } from "../context.ts";
import { memoryChunks } from "../leased_memory.ts";
import type { FoundObject, ObjectRead } from "../storage.ts";
import { BypassRead } from "./bypass_read.ts";

/** Progress of the load behind a read. */
export interface LoadProgress {
  /** Bytes from the start that may be read now; undefined once the load has failed. */
  readableBytes(): number | undefined;
  /** Resolves when more than `beyond` bytes may be present, or the load may have failed. */
  changed(beyond: number): Promise<void>;
  /** Resolves when the load has ended: the object is resident, or the load has failed. */
  ended(): Promise<void>;
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
  readonly filling?: LoadProgress;
  /** Another source of the same bytes, for a load that fails before any of them were handed out. */
  readonly fallback?: (start: number, end: number) => AsyncGenerator<Uint8Array, void, void>;
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
    context.renewer.keep(options.resident.lease);
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
    const { filling, fallback } = this.#options;
    let at = start;
    while (at < end) {
      if (at === start && fallback !== undefined && filling?.readableBytes() === undefined) {
        yield* fallback(start, end);
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

  /** Resolves once the object is resident in L1. Throws tier_failed if its load fails. */
  async whole(): Promise<void> {
    await this.#options.filling?.ended();
    this.#readableBytes();
  }

  release(outcome: "finished" | "aborted" | "unread"): void {
    if (this.#released) return;
    this.#released = true;
    const { key, resident } = this.#options;
    this.#context.renewer.drop(resident.lease);
    this.#context.l1.finishRead([resident.lease]);
    const { tenant, requestId } = key;
    if (outcome === "finished") {
      this.#context.publish("sm.read.finished", { tenant, keys: 1, bytes: this.meta.sizeBytes, requestId });
    } else if (outcome === "aborted") {
      this.#context.publish("sm.read.aborted", { tenant, keys: 1, requestId });
    }
    this.#options.onRelease?.();
  }

  /**
   * Asks L1 rather than the renewer: after a stall of the whole process the memory may be gone before the renewer
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

/**
 * A read of an object that another thread is loading, with bytes as they arrive; undefined if no thread is loading the
 * key's current object. If that thread dies before any byte was handed out, the tiers are asked for the same version;
 * after that the read fails.
 */
export function joinLoad(context: StorageContext, key: ObjectKey): ObjectRead | undefined {
  const { l1, tiers, shared, poller } = context;
  const following = l1.follow(key, LOAD_TAG);
  if (following === undefined) return undefined;
  const { meta } = following;
  const loader = shared.stripes.loadTier(shared.stripes.of(key));
  const tier = tiers[loader]?.name ?? "";
  const readableBytes = (): number | undefined => {
    const state = following.state();
    if (state === "failed") return undefined;
    return state === "done" ? meta.sizeBytes : following.filledBytes();
  };
  const filling: LoadProgress = {
    readableBytes,
    changed: (beyond) => poller.until(() => (readableBytes() ?? Infinity) > beyond),
    ended: () => poller.until(() => following.state() !== "loading"),
  };
  const fallback = (start: number, end: number): AsyncGenerator<Uint8Array, void, void> =>
    new BypassRead(context, { key, meta, tiers: tiers.slice(loader), tier }).chunks(start, end);
  return new MemoryRead(context, { key, resident: following, tier, filling, fallback });
}

/** The tag under which loads stage in L1: one load per key over all threads. */
export const LOAD_TAG = "load";

/** Metadata and tier of a key that is in L1, or is being loaded into it by any thread; undefined if neither. */
export function peek(
  context: StorageContext,
  key: ObjectKey,
): FoundObject | undefined {
  const { l1, tiers, shared } = context;
  const resident = l1.peek(key);
  if (resident !== undefined) return { meta: resident, tier: "l1" };
  const loading = l1.follow(key, LOAD_TAG);
  if (loading === undefined) return undefined;
  l1.finishRead([loading.lease]);
  return { meta: loading.meta, tier: tiers[shared.stripes.loadTier(shared.stripes.of(key))]?.name ?? "" };
}
