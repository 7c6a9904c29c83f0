import type { ObjectMeta } from "../../core/object.ts";
import type { Decide, StoreLimits } from "../../l1/l1.ts";
import { currentOf, nowOf } from "../current.ts";
import { assertHolds, commitOf, leaseLost, newMeta } from "../changes/admission.ts";
import type { ReleaseRoom } from "../changes/store_room.ts";
import type { StreamRequest, TierChanges, TierStream, VerifiedWrite } from "../changes/tier_changes.ts";
import type { StorageContext } from "../context.ts";
import type { Watch } from "../key_latch.ts";
import type { PutResult } from "../storage.ts";
import type { StagedSink } from "./staged_sink.ts";

/** The tiers' object of a key, and a watch that says whether it may have changed since. */
interface Looked {
  readonly watch: Watch;
  readonly inTiers: ObjectMeta | undefined;
}

/** Makes a verified write the current object of its key, in one step for readers. */
export class Committer {
  readonly #context: StorageContext;
  readonly #changes: TierChanges;
  readonly #limits: StoreLimits;

  constructor(
    context: StorageContext,
    options: { readonly changes: TierChanges; readonly storeQueue: StoreLimits },
  ) {
    this.#context = context;
    this.#changes = options.changes;
    this.#limits = options.storeQueue;
  }

  /**
   * Write-back: admits to L1, and the tiers get the object in the background. Waits while there is no room for another
   * dirty object.
   */
  async behind(write: VerifiedWrite, staged: StagedSink): Promise<PutResult> {
    const { tiers, latch, shared } = this.#context;
    const { key, object, precondition } = write;
    const isStored = tiers.length > 0;
    let isFull = isStored && shared.isRoomAwaited;
    let release: ReleaseRoom | undefined;
    try {
      for (let looked: Looked | undefined;;) {
        if (isFull) {
          const again = release !== undefined;
          release?.();
          release = await this.#changes.room({ key, bytes: object.sizeBytes, again });
        }
        const admitted = this.#admit(write, staged, looked);
        isFull = admitted === "full";
        if (admitted === "full") continue;
        if (admitted !== undefined) {
          if (isStored) this.#changes.wake(followedOf(write, admitted.meta));
          return admitted;
        }
        const watch = await latch.watch(key);
        looked = { watch, inTiers: await currentOf(this.#context, key, { mustKnow: precondition !== undefined }) };
      }
    } finally {
      release?.();
    }
  }

  /** Write-through: has the staged bytes stored in all tiers, and then admitted to L1. */
  through(write: VerifiedWrite, staged: StagedSink): Promise<PutResult> {
    return this.#changes.put({ ...write, lease: staged.lease });
  }

  /** An upload that goes past L1 to the tiers. */
  stream(request: StreamRequest): TierStream {
    return this.#changes.stream(request);
  }

  /**
   * Checks the precondition and admits, in one critical section of L1. Takes no latch, so that a hot key does not wait
   * for its own store. undefined: the key's current object is unknown, or a thread is clearing.
   */
  #admit(write: VerifiedWrite, staged: StagedSink, looked: Looked | undefined): PutResult | "full" | undefined {
    const { l1, tiers, shared } = this.#context;
    const { key, object, precondition } = write;
    let current: ObjectMeta | undefined;
    const decide: Decide = (known) => {
      const isKnown = known !== undefined || tiers.length === 0 || looked?.watch.disturbed === false ||
        shared.isNew(key);
      if (!isKnown || shared.stripes.isClearing) return false;
      current = nowOf(this.#context, known, looked?.inTiers);
      assertHolds(precondition, current);
      shared.ghosts.storing(key);
      return true;
    };
    const meta = newMeta(this.#context, object);
    const dirty = tiers.length > 0 ? this.#limits : undefined;
    const outcome = l1.admit(commitOf(staged.lease, meta), { dirty, decide });
    if (outcome === "full") return outcome;
    if (outcome === "unwanted") return undefined;
    if (outcome === "stale") throw leaseLost();
    return { meta, replaced: current !== undefined };
  }
}

function followedOf({ key: { requestId } }: VerifiedWrite, { version }: ObjectMeta) {
  return requestId === undefined ? undefined : { version, requestId };
}
