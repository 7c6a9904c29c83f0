import { keyId, type ObjectKey } from "../../core/key.ts";
import type { ObjectMeta } from "../../core/object.ts";
import type { StorageContext } from "../context.ts";
import { IdleCounter } from "../timers.ts";
import { isOutdating } from "../current.ts";
import type { Watch } from "../key_latch.ts";
import { askTiers } from "../tiers/tier_reader.ts";
import type { LookupListener, ObjectRead } from "../storage.ts";
import { type Joined, SharedLoad } from "./shared_load.ts";
import { followLoad, peek } from "./follow_load.ts";
import { MemoryRead } from "./memory_read.ts";

/** Finds objects: in L1 at once, otherwise in the tiers, with one load per key over all threads. */
export class LoadController {
  readonly #context: StorageContext;
  /** Loads that may be joined. */
  readonly #joinable = new Map<string, SharedLoad>();
  /** All running loads. */
  readonly #running = new Set<SharedLoad>();
  readonly #idle = new IdleCounter();

  constructor(context: StorageContext) {
    this.#context = context;
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
      const watch = await this.#context.latch.watch(key);
      // Checked again now that the watch has begun: what was committed before it is in L1, or has been.
      const resident = this.resident(key);
      if (resident !== undefined) return resident;
      if (isOutdating(this.#context.l1.know(key))) return undefined;
      const joined = await this.#join(key, watch, listener);
      if (joined === "miss") return undefined;
      if (joined !== "again") return joined;
      // Checked before the next watch: the change that disturbed this load may be in L1 and being stored.
      const written = this.resident(key);
      if (written !== undefined) return written;
    }
  }

  /** Metadata and tier of an object that was not in L1 a moment ago; undefined = miss. Throws tier_failed. */
  async find(
    key: ObjectKey,
    listener?: LookupListener,
  ): Promise<{ readonly meta: ObjectMeta; readonly tier: string } | undefined> {
    const { latch, l1, tiers } = this.#context;
    for (;;) {
      const watch = await latch.watch(key);
      const known = l1.know(key);
      if (known !== undefined) return known.meta && { meta: known.meta, tier: "l1" };
      const loading = peek(this.#context, key);
      if (loading !== undefined) return loading;
      const found = await askTiers(tiers, (tier) => tier.lookup(key, listener));
      if (watch.disturbed) continue;
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

  #join(key: ObjectKey, watch: Watch, listener: LookupListener | undefined): Promise<Joined> | Joined {
    const id = keyId(key);
    const joined = this.#joinable.get(id)?.join(key);
    if (joined !== undefined && joined !== "again") return joined;
    const followed = followLoad(this.#context, key);
    if (followed !== undefined) return followed;
    const load = new SharedLoad(this.#context, {
      key,
      watch,
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
