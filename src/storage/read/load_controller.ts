import { VitrineError } from "../../core/errors.ts";
import { keyId, type ObjectKey } from "../../core/object.ts";
import type { StorageContext } from "../context.ts";
import { isOutdating } from "../current.ts";
import type { KeySnapshot } from "../shared/key_lock.ts";
import type { FoundObject, LookupListener, ObjectRead } from "../storage.ts";
import { askTiers } from "../tiers/tier_reader.ts";
import { IdleCounter } from "../timers.ts";
import { joinLoad, MemoryRead, peek } from "./memory_read.ts";
import { type Joined, SharedLoad } from "./shared_load.ts";

/** Objects that one thread loads at the same time although nobody reads them yet, if nothing else is set. */
const MAX_FETCHES = 8;

/**
 * The outcome of a fetch. no_room: a tier has it, and L1 has no room for it or does not take objects of its size;
 * failed: a tier could not answer, or not give it.
 */
export type FetchOutcome = "loaded" | "miss" | "no_room" | "failed" | "unwanted";

/** Finds objects: in L1 at once, otherwise in the tiers, with one load per key over all threads. */
export class LoadController {
  readonly #context: StorageContext;
  /** Loads that may be joined. */
  readonly #joinable = new Map<string, SharedLoad>();
  /** All running loads. */
  readonly #running = new Set<SharedLoad>();
  readonly #idle = new IdleCounter();
  #fetching = 0;
  /** Fetches that wait for their turn. */
  readonly #waiting: (() => void)[] = [];

  /** Objects that this thread loads at the same time before anybody reads them. */
  readonly maxFetches: number;

  constructor(
    context: StorageContext,
    { maxFetches = MAX_FETCHES }: { readonly maxFetches?: number | undefined } = {},
  ) {
    this.#context = context;
    this.maxFetches = maxFetches;
  }

  get inFlight(): number {
    return this.#running.size;
  }

  /** A read of the object in L1, or undefined. */
  resident(key: ObjectKey): ObjectRead | undefined {
    const [resident] = this.#context.l1.reserveRead([key]);
    return resident === undefined ? undefined : new MemoryRead(this.#context, { key, resident, tier: "l1" });
  }

  /** A read of an object that was not in L1 a moment ago; undefined = miss. Throws tier_failed. */
  async load(key: ObjectKey, listener?: LookupListener): Promise<ObjectRead | undefined> {
    for (;;) {
      const snapshot = await this.#context.keyLock.snapshot(key);
      // Checked again after the snapshot: what was committed before it is in L1, or has been.
      const resident = this.resident(key);
      if (resident !== undefined) return resident;
      if (isOutdating(this.#context.l1.know(key))) return undefined;
      const joined = await this.#join(key, snapshot, listener);
      if (joined === "miss") return undefined;
      if (joined !== "again") return joined;
      // Checked before the next snapshot: what changed the key meanwhile may be in L1 and being stored.
      const written = this.resident(key);
      if (written !== undefined) return written;
    }
  }

  /** Loads an object into L1; a few at a time, and only if it is still wanted when its turn comes. */
  async fetch(key: ObjectKey, isWanted: () => boolean): Promise<FetchOutcome> {
    while (this.#fetching >= this.maxFetches) await new Promise<void>((wake) => this.#waiting.push(wake));
    this.#fetching += 1;
    let read: ObjectRead | undefined;
    try {
      if (!isWanted()) return "unwanted";
      read = await this.load(key);
      if (read === undefined) return "miss";
      if (!(read instanceof MemoryRead)) return "no_room";
      await read.whole();
      return "loaded";
    } catch (error) {
      if (!(error instanceof VitrineError)) throw error;
      // A newer object may have come in place of the one that was being loaded.
      return this.#context.l1.peek(key) === undefined ? "failed" : "loaded";
    } finally {
      read?.release("unread");
      this.#fetching -= 1;
      this.#waiting.shift()?.();
    }
  }

  /** Metadata and tier of an object that was not in L1 a moment ago; undefined = miss. Throws tier_failed. */
  async find(
    key: ObjectKey,
    listener?: LookupListener,
  ): Promise<FoundObject | undefined> {
    const { keyLock, l1, tiers } = this.#context;
    for (;;) {
      const snapshot = await keyLock.snapshot(key);
      const known = l1.know(key);
      if (known !== undefined) return known.meta && { meta: known.meta, tier: "l1" };
      const loading = peek(this.#context, key);
      if (loading !== undefined) return loading;
      const found = await askTiers(tiers, (tier) => tier.lookup(key, listener));
      if (snapshot.hasChanged) continue;
      if (found !== undefined) return { meta: found.answer, tier: found.tier.name };
      // The tiers may have lost it while a load already had it: a miss must not be followed by a hit.
      if (peek(this.#context, key) === undefined) return undefined;
    }
  }

  /** Waits for loads that readers still want; stops the others. */
  async drain(): Promise<void> {
    for (const load of this.#running) load.drain();
    await this.#idle.idle();
  }

  #join(key: ObjectKey, snapshot: KeySnapshot, listener: LookupListener | undefined): Promise<Joined> | Joined {
    const id = keyId(key);
    const joined = this.#joinable.get(id)?.join(key);
    if (joined !== undefined && joined !== "again") return joined;
    const followed = joinLoad(this.#context, key);
    if (followed !== undefined) return followed;
    const load = new SharedLoad(this.#context, {
      key,
      snapshot,
      listener,
      onClosed: () => {
        if (this.#joinable.get(id) === load) this.#joinable.delete(id);
      },
    });
    this.#joinable.set(id, load);
    const first = load.join(key);
    void this.#run(load);
    return first;
  }

  async #run(load: SharedLoad): Promise<void> {
    this.#running.add(load);
    this.#idle.enter();
    await load.run();
    this.#running.delete(load);
    this.#idle.leave();
  }
}
