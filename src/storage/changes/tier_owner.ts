import { VitrineError } from "../../core/errors.ts";
import type { ObjectKey } from "../../core/key.ts";
import type { ObjectMeta, Precondition } from "../../core/object.ts";
import type { Decide, StoreLimits } from "../../l1/l1.ts";
import type { OwnerContext } from "../context.ts";
import { memoryChunks } from "../memory_chunks.ts";
import type { StoreResult } from "../tiers/tier.ts";
import type { PutResult } from "../storage.ts";
import { currentOf, nowOf } from "../current.ts";
import { memoryObject, memorySource } from "./memory_source.ts";
import { assertHolds, commitOf, leaseLost, newMeta } from "./admission.ts";
import { Remover } from "./remover.ts";
import { StoreController } from "./store_controller.ts";
import { type ReleaseRoom, type RoomRequest, StoreRoom } from "./store_room.ts";
import { StreamSink } from "./stream_sink.ts";
import type {
  FollowedWrite,
  StagedWrite,
  StreamRequest,
  TierChanges,
  TierStream,
  VerifiedWrite,
} from "./tier_changes.ts";

/** The steps of a write: store it in the tiers, then update L1. */
interface Steps {
  readonly needsAll: boolean;
  readonly store: (meta: ObjectMeta) => Promise<readonly StoreResult[]>;
  /** False if no client waits for the write any more, or if `decide` declined. */
  readonly admit: (meta: ObjectMeta, decide: Decide) => boolean;
}

/** Options of a TierOwner. */
export interface TierOwnerOptions {
  /** Number of concurrent stores. */
  readonly concurrency: number;
  /** Limits on dirty objects. */
  readonly storeQueue: StoreLimits;
}

/**
 * The owner of the tiers. It makes every change in its own thread, those of a key one after the other. No other thread
 * changes what a tier holds. Readers in all threads see from the key's stripe that a change is in progress.
 */
export class TierOwner implements TierChanges {
  readonly #context: OwnerContext;
  readonly #stores: StoreController;
  readonly #remover: Remover;
  readonly #room: StoreRoom;
  #lessons = 0;

  /** Takes over from an owner that is gone, if there was one. */
  constructor(context: OwnerContext, { concurrency, storeQueue: limits }: TierOwnerOptions) {
    const { l1, shared, clock } = context;
    this.#context = context;
    this.#room = new StoreRoom({ l1, shared, limits, monotonicMs: () => clock.monotonicMs() });
    this.#stores = new StoreController(context, { concurrency, onRoom: () => this.#room.look() });
    this.#remover = new Remover(context, this.#stores);
    if (context.tiers.length === 0) return;
    shared.stripes.reset();
    shared.stale.recount();
    shared.noteRoomWaiters(0);
    this.learn();
    // Objects that were acknowledged earlier may be waiting.
    this.wake();
  }

  async put({ lease, ...write }: StagedWrite): Promise<PutResult> {
    const { l1, tiers } = this.#context;
    const store = (meta: ObjectMeta): Promise<readonly StoreResult[]> => {
      const staged = l1.staging(lease);
      if (staged === undefined) throw leaseLost();
      const memory = { lease, extents: [...memoryChunks(staged, 0, meta.sizeBytes)], meta };
      const object = memoryObject(l1, memory, { durable: true });
      const source = () => memorySource(l1, memory, { durable: true });
      return Promise.all(tiers.map((tier) => tier.storeObject(write.key, object, source)));
    };
    const admit = (meta: ObjectMeta, decide: Decide): boolean =>
      l1.admit(commitOf(lease, meta), { decide }) === "admitted";
    return await this.#write(write, { store, admit, needsAll: true });
  }

  /** `assertWanted` throws if no client waits for the upload any more. */
  stream({ key, sizeBytes, needsAll }: StreamRequest, assertWanted: () => void = () => {}): TierStream {
    const { l1, tiers } = this.#context;
    const sink = new StreamSink({ key, tiers, sizeBytes, needsAll });
    const store = (meta: ObjectMeta): Promise<readonly StoreResult[]> => sink.finish(meta, assertWanted);
    const admit = (_meta: ObjectMeta, decide: Decide): boolean => {
      let isWanted = false;
      l1.delete([key], "replaced", (known) => {
        assertWanted();
        return isWanted = decide(known);
      });
      return isWanted;
    };
    return {
      write: (chunk) => sink.write(chunk),
      finish: (write) => this.#write(write, { store, admit, needsAll }),
      abort: () => sink.abort(),
    };
  }

  /** `assertWaiting` throws if no client waits for the delete any more. */
  delete(key: ObjectKey, precondition: Precondition | undefined, assertWaiting?: () => void): Promise<boolean> {
    return this.#remover.delete(key, precondition, assertWaiting);
  }

  clear(tenant: string | undefined, tier: string | undefined): Promise<Readonly<Record<string, number>>> {
    return this.#remover.clear(tenant, tier);
  }

  room(request: RoomRequest): Promise<ReleaseRoom> {
    return this.#room.wait(request);
  }

  wake(followed?: FollowedWrite): void {
    if (followed !== undefined) this.note(followed);
    this.#context.shared.heardWake();
    if (this.#context.tiers.length > 0) this.#stores.wake();
  }

  /** Notes that a waiting write belongs to a request whose events carry details. */
  note(followed: FollowedWrite): void {
    this.#stores.note(followed);
  }

  /** Learns again which keys the tiers have, after a tier was unavailable. */
  learn(): void {
    const { shared } = this.#context;
    shared.knowsAllKeys = false;
    this.#lessons += 1;
    const lesson = this.#lessons;
    void learnKeys(this.#context, () => lesson !== this.#lessons);
  }

  /** Number of objects stored in the background, and number refused by all tiers. */
  get totals(): StoreController["totals"] {
    return this.#stores.totals;
  }

  /** Stores all dirty objects, tries once more to delete outdated copies, and stops polling. */
  end(): Promise<void> {
    return this.#stores.end();
  }

  #write({ key, object, precondition }: VerifiedWrite, steps: Steps): Promise<PutResult> {
    const { latch, shared } = this.#context;
    return latch.run(key, async () => {
      const before = await currentOf(this.#context, key, { mustKnow: precondition !== undefined });
      assertHolds(precondition, before);
      const meta = newMeta(this.#context, object);
      shared.ghosts.storing(key);
      const stored = await this.#store(key, meta, steps);
      const withdraw = () => Promise.all(stored.map(({ tier }) => tier.withdraw(key)));
      let current: ObjectMeta | undefined;
      try {
        // The new object becomes visible, and everything about the old one ends.
        const isAdmitted = steps.admit(meta, (known) => {
          current = nowOf(this.#context, known, before);
          assertHolds(precondition, current);
          return true;
        });
        if (!isAdmitted) throw leaseLost();
      } catch (error) {
        await withdraw();
        throw error;
      }
      return { meta, replaced: current !== undefined };
    });
  }

  /** Stores in the tiers. Returns the successful results if they are enough, and throws otherwise. */
  async #store(key: ObjectKey, meta: ObjectMeta, { store, needsAll }: Steps): Promise<readonly StoreResult[]> {
    const results = await store(meta);
    for (const result of results) result.tier.settle(key, result);
    const failed = results.filter(({ error }) => error !== undefined);
    const stored = results.filter(({ error }) => error === undefined);
    const isEnough = needsAll ? failed.length === 0 : stored.length > 0;
    // A failed tier holds what it held before. Where the new object was stored, the old one cannot be restored, so the
    // new one is only removed.
    await (isEnough
      ? Promise.all(failed.map(({ tier }) => tier.forget(key)))
      : Promise.all(stored.map(({ tier }) => tier.withdraw(key))));
    if (isEnough) return stored;
    throw failed[0]?.error ?? new VitrineError("tier_failed", "store object: no tier took it");
  }
}

/**
 * Adds the keys of all objects that were in the tiers before this server to the removal history, some at a time. Then
 * notes that a key outside it is in no tier, so that a write need not ask the tiers. Does not note that if others can
 * store in a tier, or if `isOver` becomes true meanwhile. Never rejects because of a tier.
 */
export async function learnKeys(context: OwnerContext, isOver: () => boolean = () => false): Promise<void> {
  const { tiers, shared, timers } = context;
  if (tiers.length === 0) return;
  const sources = tiers.map((tier) => ({ tier, source: tier.keys() }));
  try {
    for (const { tier, source } of sources) {
      if (source === undefined) return;
      for await (const keys of source) {
        if (isOver()) return;
        for (const key of keys) {
          shared.ghosts.storing(key);
          // Recovers the names of keys that an earlier owner marked.
          if (shared.stale.hasAny) tier.stale.met(key);
        }
        await timers.turn();
      }
    }
    if (!isOver()) shared.knowsAllKeys = true;
  } catch (error) {
    // A tier failed, so writes still have to ask the tiers.
    if (!(error instanceof VitrineError)) throw error;
  }
}
