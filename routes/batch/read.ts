import { causeText, VitrineError } from "../../src/core/errors.ts";
import type { MissReason } from "../../src/core/events.ts";
import type { ObjectMeta } from "../../src/core/object.ts";
import type { LookupListener, ObjectRead } from "../../src/storage/storage.ts";
import type { AppOptions } from "../app_options.ts";
import type { Exchange } from "../exchange.ts";
import { namedObject } from "../http/access.ts";
import { problemOf } from "../http/reply.ts";
import { representationHeaders } from "../objects/read.ts";
import { FrameBlocks } from "./frames.ts";

/** Objects that are looked up in the tiers at the same time, the one that is being sent included. */
const LOOKUPS = 4;
/** The event loop goes on to others after this many keys. */
const KEYS_PER_TURN = 128;

/** A batch of reads. */
interface BatchRead {
  readonly keys: readonly string[];
  /** End after the first object that cannot be sent. */
  readonly stopAtMiss: boolean;
  readonly exchange: Exchange;
  readonly request: Request;
  readonly storage: AppOptions["storage"];
  /** Objects up to this size that are in L1 are copied in one step. */
  readonly copyLimitBytes: number;
}

/** The result of one lookup: an object, or the header of its frame. */
type Found = ObjectRead | { readonly refusal: object };

/**
 * The frames of the objects, in the order of the keys: `{ key, status: 200, headers }` and the bytes, or `{ key,
 * status, … }` as a problem, without bytes. Yields private memory. An object whose load fails half-way breaks it off.
 */
export async function* batchFrames(batch: BatchRead): AsyncGenerator<Uint8Array<ArrayBuffer>, void, void> {
  const { keys, stopAtMiss, exchange } = batch;
  const blocks = new FrameBlocks();
  const lookups = new Lookups(batch);
  const head = (key: string, meta: ObjectMeta, tier: string) => {
    const headers = representationHeaders({ meta, tier }, exchange.nowMs());
    blocks.begin({ key, status: 200, headers }, meta.sizeBytes);
  };
  try {
    for (const [index, key] of keys.entries()) {
      if (index % KEYS_PER_TURN === KEYS_PER_TURN - 1) await new Promise((resolve) => setImmediate(resolve));
      yield* blocks.takeFull();
      const isHit = lookups.hit(index, (meta, extents) => {
        head(key, meta, "l1");
        for (const extent of extents) blocks.append(extent);
      });
      if (isHit) continue;
      const pending = lookups.start(index, { ahead: !stopAtMiss });
      // What is there already must not wait for a tier.
      if (pending instanceof Promise) yield* blocks.takeAll();
      const found = await pending;
      lookups.taken(index);
      if ("refusal" in found) {
        blocks.begin(found.refusal, 0);
        if (stopAtMiss) break;
        continue;
      }
      let outcome: "finished" | "aborted" = "aborted";
      try {
        head(key, found.meta, found.tier);
        for await (const chunk of found.chunks(0, found.meta.sizeBytes)) {
          blocks.append(chunk);
          yield* blocks.takeFull();
        }
        outcome = "finished";
      } finally {
        found.release(outcome);
      }
    }
    yield* blocks.takeAll();
  } finally {
    await lookups.releaseAll();
  }
}

/** The lookups of a batch, of which some run ahead of the object that is being sent. */
class Lookups {
  readonly #batch: BatchRead;
  readonly #running = new Map<number, Promise<Found>>();

  constructor(batch: BatchRead) {
    this.#batch = batch;
  }

  /** True if the object is small and in L1; then `use` has been called with it. */
  hit(index: number, use: (meta: ObjectMeta, extents: readonly Uint8Array[]) => void): boolean {
    if (this.#running.has(index)) return false;
    const { storage, keys, copyLimitBytes, exchange, request } = this.#batch;
    let key;
    try {
      key = namedObject(exchange, request, keys[index] ?? "");
    } catch {
      return false;
    }
    return storage.hit(key, copyLimitBytes, (meta, extents) => {
      use(meta, extents);
      return true;
    }) === true;
  }

  /**
   * The object: a promise of it is released with all others unless it is taken. With `ahead`, the lookups of the next
   * keys begin too.
   */
  start(index: number, { ahead }: { readonly ahead: boolean }): Promise<Found> | Found {
    const found = this.#running.get(index) ?? this.#lookUp(index);
    if (!(found instanceof Promise)) return found;
    this.#running.set(index, found);
    const end = ahead ? Math.min(index + LOOKUPS, this.#batch.keys.length) : index;
    for (let next = index + 1; next < end; next++) {
      if (this.#running.has(next)) continue;
      const later = Promise.resolve(this.#lookUp(next));
      // It is awaited when its turn comes.
      later.catch(() => {});
      this.#running.set(next, later);
    }
    return found;
  }

  /** The caller releases the object. */
  taken(index: number): void {
    this.#running.delete(index);
  }

  /** Releases the objects that nobody has taken. */
  async releaseAll(): Promise<void> {
    for (const result of await Promise.allSettled(this.#running.values())) {
      if (result.status === "fulfilled" && "release" in result.value) result.value.release("aborted");
    }
  }

  #lookUp(index: number): Promise<Found> | Found {
    const { storage, keys, exchange, request } = this.#batch;
    const key = keys[index] ?? "";
    const refused = (error: unknown) => ({ refusal: { key, ...itemProblem(exchange, error) } });
    const listener = new MissListener();
    const found = (read: ObjectRead | undefined): Found =>
      read ?? refused(
        new VitrineError("not_found", "find object: no such key", { details: { reason: listener.reason } }),
      );
    try {
      const read = storage.get(namedObject(exchange, request, key), listener);
      return read instanceof Promise ? read.then(found, refused) : found(read);
    } catch (error) {
      return refused(error);
    }
  }
}

class MissListener implements LookupListener {
  reason: MissReason = "unknown";

  missed(reason: MissReason): void {
    this.reason = reason;
  }

  asked(): void {}
}

/** The problem of one object of a batch. Throws what is none of a client's or a tier's. */
export function itemProblem(exchange: Exchange, error: unknown): object {
  if (!(error instanceof VitrineError)) throw error;
  const problem = problemOf(exchange, error);
  if (problem.status >= 500) exchange.failedFor(null, causeText(error));
  return problem;
}
