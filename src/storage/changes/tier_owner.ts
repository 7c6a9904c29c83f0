import { VitrineError } from "../../core/errors.ts";
import type { ObjectKey, ObjectMeta, Precondition } from "../../core/object.ts";
import type { Decide, StoreLimits } from "../../l1/l1.ts";
import type { Replaced } from "../../l2/adapter.ts";
import type { OwnerContext } from "../context.ts";
import { assertHolds, assertStillHolds, commitOf, currentOf, newMeta, nowOf } from "../current.ts";
import { leaseLost, memoryChunks, memoryObject, memorySource } from "../leased_memory.ts";
import type { PutResult } from "../storage.ts";
import type { StoreResult } from "../tiers/tier.ts";
import { ForeignChanges, Remover } from "./removals.ts";
import { type ReleaseRoom, type RoomRequest, StoreRoom } from "./store_room.ts";
import { StreamSink } from "./stream_sink.ts";
import { Verifier } from "./verifier.ts";
import type {
  StagedWrite,
  StreamRequest,
  TierChanges,
  TierStream,
  TracedWrite,
  VerifiedWrite,
} from "./tier_changes.ts";
import { type StoreTotals, WriteBack } from "./write_back.ts";

/** The precondition of a write, for the steps that store it. */
interface Held {
  readonly precondition: Precondition | undefined;
  /** Throws precondition_failed if the precondition does not hold for what the store replaces. */
  readonly assertHolding: (replaced: Replaced | undefined) => void;
}

/** The steps of a write: store it in the tiers, then update L1. */
interface Steps {
  readonly needsAll: boolean;
  readonly store: (meta: ObjectMeta, held: Held) => Promise<readonly StoreResult[]>;
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
  readonly #stores: WriteBack;
  readonly #remover: Remover;
  readonly #room: StoreRoom;
  readonly #foreign: ForeignChanges;
  readonly #verifier: Verifier;
  #learnRuns = 0;

  /** Takes over from an owner that is gone, if there was one. */
  constructor(context: OwnerContext, { concurrency, storeQueue: limits }: TierOwnerOptions) {
    const { l1, shared, clock } = context;
    this.#context = context;
    const makeRoom = (): void => this.#stores.makeRoom();
    this.#room = new StoreRoom({ l1, shared, limits, monotonicMs: () => clock.monotonicMs(), makeRoom });
    this.#stores = new WriteBack(context, { concurrency, onRoom: () => this.#room.look() });
    this.#remover = new Remover(context, this.#stores);
    this.#foreign = new ForeignChanges(context);
    this.#verifier = new Verifier(context);
    if (context.tiers.length === 0) return;
    shared.stripes.reset();
    shared.stale.recount();
    shared.setRoomWaiters(0);
    this.learn();
    // Objects that were acknowledged earlier may be waiting.
    this.wake();
    this.#foreign.start();
  }

  async put({ lease, ...write }: StagedWrite): Promise<PutResult> {
    const { l1, storeTiers } = this.#context;
    const store = (meta: ObjectMeta, { precondition, assertHolding }: Held): Promise<readonly StoreResult[]> => {
      const staged = l1.staging(lease);
      if (staged === undefined) throw leaseLost();
      const memory = { lease, extents: [...memoryChunks(staged, 0, meta.sizeBytes)], meta };
      const object = memoryObject(l1, memory, { durable: true });
      const source = () => ({
        ...memorySource(l1, memory, { durable: true }),
        precondition: () => precondition,
        assertWanted: assertHolding,
      });
      return Promise.all(storeTiers.map((tier) => tier.storeObject(write.key, object, source)));
    };
    const admit = (meta: ObjectMeta, decide: Decide): boolean =>
      l1.admit(commitOf(lease, meta), { decide }) === "admitted";
    return await this.#write(write, { store, admit, needsAll: true });
  }

  /** `assertWanted` throws if no client waits for the upload any more. */
  stream({ key, sizeBytes, needsAll, early }: StreamRequest, assertWanted: () => void = () => {}): TierStream {
    const { l1, storeTiers } = this.#context;
    const sink = new StreamSink({ key, tiers: storeTiers, sizeBytes, early, needsAll });
    const store = (meta: ObjectMeta, { precondition, assertHolding }: Held): Promise<readonly StoreResult[]> =>
      sink.finish({
        meta,
        precondition,
        assertWanted(replaced) {
          assertWanted();
          assertHolding(replaced);
        },
      });
    const admit = (_meta: ObjectMeta, decide: Decide): boolean => {
      let isWanted = false;
      l1.delete([key], "replaced", (known, encoded) => {
        assertWanted();
        return isWanted = decide(known, encoded);
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

  verify(key: ObjectKey): Promise<void> {
    return this.#verifier.verify(key);
  }

  room(request: RoomRequest): Promise<ReleaseRoom> {
    return this.#room.wait(request);
  }

  wake(traced?: TracedWrite): void {
    if (traced !== undefined) this.note(traced);
    this.#context.shared.heardWake();
    if (this.#context.tiers.length > 0) this.#stores.wake();
  }

  /** Notes that a waiting write belongs to a request whose events carry details. */
  note(traced: TracedWrite): void {
    this.#stores.note(traced);
  }

  /** Learns again which keys the tiers have, after a tier was unavailable. */
  learn(): void {
    const { shared } = this.#context;
    shared.knowsAllKeys = false;
    this.#learnRuns += 1;
    const run = this.#learnRuns;
    void learnKeys(this.#context, () => run !== this.#learnRuns);
  }

  /** Number of objects stored in the background, and number refused by all tiers. */
  get totals(): StoreTotals {
    return this.#stores.totals;
  }

  /** Stores all dirty objects, tries once more to delete outdated copies, and stops polling. */
  end(): Promise<void> {
    this.#foreign.stop();
    return this.#stores.end();
  }

  #write({ key, object, precondition }: VerifiedWrite, steps: Steps): Promise<PutResult> {
    const { keyLock, shared } = this.#context;
    return keyLock.run(key, async () => {
      const before = await currentOf(this.#context, key, { mustKnow: precondition !== undefined });
      assertHolds(precondition, before);
      const meta = newMeta(this.#context, object);
      shared.history.storing(key);
      await this.#outdateOthers(key, steps);
      const stored = await this.#store(key, steps, {
        meta,
        held: { precondition, assertHolding: (replaced) => assertStillHolds(precondition, { before, replaced }) },
      });
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
      return { meta, replaced: current !== undefined, before: current };
    });
  }

  /**
   * Removes the key from the tiers that store nothing. That comes first, so that whatever happens next they have
   * nothing older than what is stored. If all tiers are needed, a mark is not enough, because a crash loses it: throws
   * tier_failed.
   */
  async #outdateOthers(key: ObjectKey, { needsAll }: Steps): Promise<void> {
    const { otherTiers } = this.#context;
    await Promise.all(otherTiers.map((tier) => needsAll ? tier.outdate(key) : tier.forget(key)));
  }

  /** Stores in the tiers. Returns the successful results if they are enough, and throws otherwise. */
  async #store(
    key: ObjectKey,
    { store, needsAll }: Steps,
    { meta, held }: { readonly meta: ObjectMeta; readonly held: Held },
  ): Promise<readonly StoreResult[]> {
    const results = await store(meta, held);
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
async function learnKeys(context: OwnerContext, isOver: () => boolean = () => false): Promise<void> {
  const { tiers, shared, timers } = context;
  if (tiers.length === 0) return;
  const sources = tiers.map((tier) => ({ tier, source: tier.keys() }));
  try {
    for (const { tier, source } of sources) {
      if (source === undefined) return;
      for await (const keys of source) {
        if (isOver()) return;
        for (const key of keys) {
          shared.history.storing(key);
          // Recovers the names of keys that an earlier owner marked.
          if (shared.stale.hasAny) tier.stale.rememberName(key);
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
