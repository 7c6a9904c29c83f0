import { VitrineError } from "../../core/errors.ts";
import type { ObjectKey } from "../../core/key.ts";
import { isExpired, type ObjectMeta } from "../../core/object.ts";
import type { WriteCommit } from "../../l1/types.ts";
import type { StoreSource } from "../../l2/adapter.ts";
import type { StorageContext } from "../context.ts";
import { memoryChunks } from "../memory_chunks.ts";
import { memoryObject, memorySource } from "../memory_source.ts";
import { askTiers } from "../tiers/ask_tiers.ts";
import type { PutRequest, PutResult } from "../types.ts";
import type { StagedSink } from "./staged_sink.ts";
import type { Storing } from "../storing.ts";
import type { StoreRoom } from "./store_room.ts";
import { type StoreResult, storeResult } from "./store_result.ts";
import type { StreamSink } from "./stream_sink.ts";

/** A body that arrived whole and was verified. */
export interface VerifiedWrite {
  readonly request: PutRequest;
  readonly sizeBytes: number;
  readonly crc32: number;
}

/**
 * Makes a verified write the current object of its key, in one step as readers see it. Precondition and admission
 * happen in one turn, which no commit of the key in another thread interrupts; whatever touches the tiers happens under
 * the key's latch.
 */
export class Committer {
  readonly #context: StorageContext;
  readonly #storing: Storing;
  readonly #room: StoreRoom;

  constructor(context: StorageContext, options: { readonly storing: Storing; readonly room: StoreRoom }) {
    this.#context = context;
    this.#storing = options.storing;
    this.#room = options.room;
  }

  /** Admits to L1; the tiers get it in the background. Waits while there is no room for more that is not stored. */
  async behind(write: VerifiedWrite, staged: StagedSink): Promise<PutResult> {
    const isStored = this.#context.tiers.length > 0;
    if (isStored && this.#room.isAwaited) await this.#room.wait(write.sizeBytes, false);
    for (;;) {
      const admitted = this.#admitKnown(write, staged) ?? await this.#admitLookedUp(write, staged);
      if (admitted !== "full") {
        const { requestId } = write.request.key;
        const { version } = admitted.meta;
        if (isStored) this.#storing.wake(requestId === undefined ? undefined : { version, requestId });
        return admitted;
      }
      await this.#room.wait(write.sizeBytes, true);
    }
  }

  /** Admits if it is known without a tier what is there now; else undefined. */
  #admitKnown(write: VerifiedWrite, staged: StagedSink): PutResult | "full" | undefined {
    const { l1, tiers, latch, shared } = this.#context;
    const { key } = write.request;
    // Without the latch, so that a hot key does not wait for its own store.
    return latch.turn(key, () => {
      const current = l1.peek(key);
      const isKnown = (current !== undefined || tiers.length === 0 || shared.isNew(key)) && !latch.excluded;
      return isKnown ? this.#admit(write, staged, current) : undefined;
    });
  }

  /** Asks the tiers first what is there now. */
  async #admitLookedUp(write: VerifiedWrite, staged: StagedSink): Promise<PutResult | "full"> {
    const { latch } = this.#context;
    const { key, precondition } = write.request;
    for (;;) {
      const watch = await latch.watch(key);
      const before = await this.#current(key, precondition !== undefined);
      const admitted = latch.turn(key, () => {
        if (watch.disturbed || latch.excluded) return undefined;
        return this.#admit(write, staged, this.#now(key, before));
      });
      if (admitted !== undefined) return admitted;
    }
  }

  /** Stores the staged bytes in all tiers, then admits to L1. */
  through(write: VerifiedWrite, staged: StagedSink): Promise<PutResult> {
    const { l1, tiers } = this.#context;
    const meta = this.#metaOf(write);
    const { lease, extents } = staged;
    const { key } = write.request;
    const memory = { lease, extents: [...memoryChunks(extents, 0, meta.sizeBytes)], meta };
    const source = (): StoreSource => memorySource(l1, memory, { durable: true });
    const object = memoryObject(l1, memory, { durable: true });
    const store = (): Promise<readonly StoreResult[]> =>
      Promise.all(tiers.map((tier) => storeResult(tier, tier.storeObject(key, object, source))));
    const admit = (): void => {
      const [outcome] = l1.finishWrite([commitOf(staged, meta)], "replace");
      if (outcome !== "admitted") l1.delete([key], "replaced");
    };
    return this.#inTiers(write, { meta, store, admit, needsAll: true });
  }

  /** Makes an object visible that was streamed to the tiers; L1 lets go of what it held. */
  streamed(write: VerifiedWrite, stream: StreamSink, options: { readonly needsAll: boolean }): Promise<PutResult> {
    const meta = this.#metaOf(write);
    const admit = (): void => void this.#context.l1.delete([write.request.key], "replaced");
    return this.#inTiers(write, { meta, store: () => stream.finish(meta), admit, needsAll: options.needsAll });
  }

  #inTiers(
    write: VerifiedWrite,
    how: {
      readonly meta: ObjectMeta;
      readonly store: () => Promise<readonly StoreResult[]>;
      readonly admit: () => void;
      readonly needsAll: boolean;
    },
  ): Promise<PutResult> {
    const { latch, shared } = this.#context;
    const { key, precondition } = write.request;
    return latch.run(key, async () => {
      const before = await this.#current(key, precondition !== undefined);
      assertAllowed(write.request, before);
      shared.ghosts.storing(key);
      const results = await how.store();
      const failed = results.filter((result) => result.error !== undefined);
      const stored = results.filter((result) => result.error === undefined);
      const enough = how.needsAll ? failed.length === 0 : stored.length > 0;
      // A tier that failed holds what it held. Where the new object was stored nothing can be restored, so it only goes
      // away.
      await (enough
        ? Promise.all(failed.map((result) => result.tier.forget(key)))
        : Promise.all(stored.map((result) => result.tier.withdraw(key))));
      if (!enough) throw failed[0]?.error ?? new VitrineError("tier_failed", "store object: no tier took it");
      const committed = latch.turn(key, () => {
        const current = this.#now(key, before);
        if (precondition !== undefined && !precondition(current)) return undefined;
        // The new object appears, and everything that is about the old one ends.
        how.admit();
        return { meta: how.meta, replaced: current !== undefined };
      });
      if (committed !== undefined) return committed;
      await Promise.all(stored.map((result) => result.tier.withdraw(key)));
      throw preconditionFailed();
    });
  }

  /** To be called in a turn: precondition and admission. What loads the old object is superseded in L1. */
  #admit(write: VerifiedWrite, staged: StagedSink, current: ObjectMeta | undefined): PutResult | "full" {
    const { l1, tiers, latch, shared } = this.#context;
    const { key } = write.request;
    assertAllowed(write.request, current);
    if (tiers.length > 0 && !l1.hasUnsavedRoom(write.sizeBytes, this.#room.limits)) return "full";
    const meta = this.#metaOf(write);
    shared.ghosts.storing(key);
    const commit = commitOf(staged, meta);
    try {
      const outcome = tiers.length > 0
        ? l1.admitUnsaved(commit, this.#room.limits)
        : l1.finishWrite([commit], "replace")[0];
      if (outcome === "full") return outcome;
      if (outcome !== "admitted") throw leaseLost();
    } finally {
      latch.moved(key);
    }
    return { meta, replaced: current !== undefined };
  }

  /**
   * The object that is there now. To be called under the key's latch or a watch. A tier's failure counts only if
   * somebody asks for the truth.
   */
  async #current(key: ObjectKey, mustKnow: boolean): Promise<ObjectMeta | undefined> {
    const { l1, tiers, shared } = this.#context;
    const resident = l1.peek(key);
    if (resident !== undefined || shared.isNew(key) || l1.isExpiredUnsaved(key)) return resident;
    try {
      const found = await askTiers(tiers, (tier) => tier.lookup(key));
      return this.#now(key, found?.answer);
    } catch (error) {
      if (mustKnow) throw error;
      return this.#now(key, undefined);
    }
  }

  /** The same without asking the tiers, which held `earlier` when they were last asked under this latch or watch. */
  #now(key: ObjectKey, earlier: ObjectMeta | undefined): ObjectMeta | undefined {
    const { l1 } = this.#context;
    const resident = l1.peek(key);
    if (resident !== undefined || l1.isExpiredUnsaved(key)) return resident;
    return earlier !== undefined && isExpired(earlier, this.#context.clock.nowMs()) ? undefined : earlier;
  }

  #metaOf({ request, sizeBytes, crc32 }: VerifiedWrite): ObjectMeta {
    const { clock, shared } = this.#context;
    const createdMs = Math.floor(clock.nowMs());
    return {
      sizeBytes,
      crc32,
      version: shared.versions.next(createdMs),
      createdMs,
      expiresMs: request.ttlSeconds === 0 ? 0 : createdMs + request.ttlSeconds * 1000,
      contentType: request.contentType,
      sha256: request.sha256,
      ...(request.headers === undefined ? {} : { headers: request.headers }),
    };
  }
}

function commitOf(staged: StagedSink, meta: ObjectMeta): WriteCommit {
  const { sizeBytes, crc32, version, createdMs, expiresMs } = meta;
  return { lease: staged.lease, sizeBytes, crc32, version, createdMs, expiresMs };
}

function leaseLost(): VitrineError {
  return new VitrineError("no_room", "admit object: its write lease has run out");
}

function preconditionFailed(): VitrineError {
  return new VitrineError("precondition_failed", "write object: its precondition does not hold");
}

function assertAllowed(request: PutRequest, current: ObjectMeta | undefined): void {
  if (request.precondition !== undefined && !request.precondition(current)) throw preconditionFailed();
}
