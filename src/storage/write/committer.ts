import { VitrineError } from "../../core/errors.ts";
import type { ObjectKey } from "../../core/key.ts";
import { isExpired, type ObjectMeta } from "../../core/object.ts";
import type { Resident, WriteCommit } from "../../l1/types.ts";
import type { StorageContext } from "../context.ts";
import { memorySource } from "../memory_source.ts";
import type { LoadController } from "../read/load_controller.ts";
import { askTiers } from "../tiers/ask_tiers.ts";
import type { PutRequest, PutResult } from "../types.ts";
import type { StagedSink } from "./staged_sink.ts";
import type { Place } from "./store_queue.ts";
import type { StoreController } from "./store_controller.ts";
import { type StoreResult, storeResult } from "./store_result.ts";
import type { StreamSink } from "./stream_sink.ts";

/** A body that arrived whole and was verified. */
export interface VerifiedWrite {
  readonly request: PutRequest;
  readonly sizeBytes: number;
  readonly crc32: number;
}

/** What a Committer needs. */
export interface CommitterOptions {
  readonly stores: StoreController;
  readonly loads: LoadController;
  readonly nextVersion: () => number;
}

/**
 * Makes a verified write the current object of its key, in one step as readers see it. Precondition and admission happen in one turn of the event loop;
 * whatever touches the tiers happens under the key's latch.
 */
export class Committer {
  readonly #context: StorageContext;
  readonly #options: CommitterOptions;

  constructor(context: StorageContext, options: CommitterOptions) {
    this.#context = context;
    this.#options = options;
  }

  /** Admits to L1; the tiers get it in the background. Waits while the store queue is full. */
  async behind(write: VerifiedWrite, staged: StagedSink): Promise<PutResult> {
    const { l1, tiers, latch } = this.#context;
    const { key, precondition } = write.request;
    if (tiers.length === 0) return this.#admit(write, staged, { current: l1.peek(key), place: undefined });
    const place = await this.#options.stores.enter(write.sizeBytes);
    try {
      const current = l1.peek(key);
      if (current !== undefined || this.#options.stores.isUnsaved(key)) {
        return this.#admit(write, staged, { current, place });
      }
      return await latch.run(key, async () => {
        const found = await this.#current(key, precondition !== undefined);
        return this.#admit(write, staged, { current: found, place });
      });
    } catch (error) {
      place.leave();
      throw error;
    }
  }

  /** Stores the staged bytes in all tiers, then admits to L1. */
  through(write: VerifiedWrite, staged: StagedSink): Promise<PutResult> {
    const { l1, tiers } = this.#context;
    const meta = this.#metaOf(write);
    const { lease, extents } = staged;
    const store = (): Promise<readonly StoreResult[]> =>
      Promise.all(
        tiers.map((tier) =>
          storeResult(tier, tier.store(write.request.key, memorySource(l1, { lease, extents, meta })))
        ),
      );
    const admit = (): void => {
      const [outcome] = l1.finishWrite([commitOf(staged, meta)], "replace");
      if (outcome !== "admitted") l1.delete([write.request.key], "replaced");
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
    const { stores, loads } = this.#options;
    const { key, precondition } = write.request;
    return this.#context.latch.run(key, async () => {
      const before = await this.#current(key, precondition !== undefined);
      assertAllowed(write.request, before);
      const results = await how.store();
      const failed = results.filter((result) => result.error !== undefined);
      const stored = results.filter((result) => result.error === undefined);
      const enough = how.needsAll ? failed.length === 0 : stored.length > 0;
      // A tier that failed holds what it held. Where the new object was stored nothing can be restored, so it only goes away.
      const outdated = enough ? failed : stored;
      await Promise.all(outdated.map((result) => result.tier.forget(key)));
      if (!enough) throw failed[0]?.error ?? new VitrineError("tier_failed", "store object: no tier took it");
      const current = this.#now(key, before);
      if (precondition !== undefined && !precondition(current)) {
        await Promise.all(stored.map((result) => result.tier.forget(key)));
        throw preconditionFailed();
      }
      // From here on without await: the new object appears, and everything that is about the old one ends.
      how.admit();
      stores.cancel(key);
      loads.detach(key);
      return { meta: how.meta, replaced: current !== undefined };
    });
  }

  /** In one turn: precondition, admission, store job, end of what is about the old object. */
  #admit(
    write: VerifiedWrite,
    staged: StagedSink,
    options: { readonly current: ObjectMeta | undefined; readonly place: Place | undefined },
  ): PutResult {
    const { l1 } = this.#context;
    const { key } = write.request;
    assertAllowed(write.request, options.current);
    const meta = this.#metaOf(write);
    const commit = commitOf(staged, meta);
    const resident = options.place === undefined
      ? (l1.finishWrite([commit], "replace")[0] === "admitted" || undefined)
      : this.#reserved(key, commit);
    if (resident === undefined) throw new VitrineError("no_room", "admit object: its write lease has run out");
    this.#options.loads.detach(key);
    if (resident !== true && options.place !== undefined) {
      this.#options.stores.enqueue({ key, resident, place: options.place });
    }
    return { meta, replaced: options.current !== undefined };
  }

  /** Admits with a read lease for the store; undefined if the write lease was stale. Throws no_room if L1 has no lease left. */
  #reserved(key: ObjectKey, commit: WriteCommit): Resident | undefined {
    const { l1 } = this.#context;
    let resident: Resident | undefined;
    try {
      [resident] = l1.finishWriteAndReserveRead([commit], "replace");
    } catch (error) {
      // Admitted perhaps, but nothing would store it: the tiers' older copy would come back once L1 evicts it.
      l1.delete([key], "replaced");
      throw error;
    }
    if (resident === undefined || resident.meta.version === commit.version) return resident;
    l1.finishRead([resident.lease]);
    return undefined;
  }

  /** The object that is there now. To be called under the key's latch. A tier's failure counts only if somebody asks for the truth. */
  async #current(key: ObjectKey, mustKnow: boolean): Promise<ObjectMeta | undefined> {
    const { l1, tiers } = this.#context;
    const resident = l1.peek(key);
    if (resident !== undefined || this.#options.stores.isUnsaved(key)) return resident;
    try {
      const found = await askTiers(tiers, (tier) => tier.lookup(key));
      return this.#now(key, found?.answer);
    } catch (error) {
      if (mustKnow) throw error;
      return this.#now(key, undefined);
    }
  }

  /** The same without asking the tiers, which held `earlier` when they were last asked under this latch. */
  #now(key: ObjectKey, earlier: ObjectMeta | undefined): ObjectMeta | undefined {
    const resident = this.#context.l1.peek(key);
    if (resident !== undefined || this.#options.stores.isUnsaved(key)) return resident;
    return earlier !== undefined && isExpired(earlier, this.#context.clock.nowMs()) ? undefined : earlier;
  }

  #metaOf({ request, sizeBytes, crc32 }: VerifiedWrite): ObjectMeta {
    const createdMs = Math.floor(this.#context.clock.nowMs());
    return {
      sizeBytes,
      crc32,
      version: this.#options.nextVersion(),
      createdMs,
      expiresMs: request.ttlSeconds === 0 ? 0 : createdMs + request.ttlSeconds * 1000,
      contentType: request.contentType,
      sha256: request.sha256,
    };
  }
}

function commitOf(staged: StagedSink, meta: ObjectMeta): WriteCommit {
  const { sizeBytes, crc32, version, createdMs, expiresMs } = meta;
  return { lease: staged.lease, sizeBytes, crc32, version, createdMs, expiresMs };
}

function preconditionFailed(): VitrineError {
  return new VitrineError("precondition_failed", "write object: its precondition does not hold");
}

function assertAllowed(request: PutRequest, current: ObjectMeta | undefined): void {
  if (request.precondition !== undefined && !request.precondition(current)) throw preconditionFailed();
}
