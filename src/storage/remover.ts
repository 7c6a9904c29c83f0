import { VitrineError } from "../core/errors.ts";
import type { ObjectKey } from "../core/key.ts";
import type { ObjectMeta } from "../core/object.ts";
import type { StorageContext } from "./context.ts";
import type { LoadController } from "./read/load_controller.ts";
import { askTiers } from "./tiers/ask_tiers.ts";
import type { Precondition } from "./types.ts";
import type { StoreController } from "./write/store_controller.ts";

/** What a Remover needs. */
export interface RemoverOptions {
  readonly stores: StoreController;
  readonly loads: LoadController;
}

/** Deletes and clears so that nothing brings an object back: no tier, no queued store, no running load. */
export class Remover {
  readonly #context: StorageContext;
  readonly #stores: StoreController;
  readonly #loads: LoadController;

  constructor(context: StorageContext, options: RemoverOptions) {
    this.#context = context;
    this.#stores = options.stores;
    this.#loads = options.loads;
  }

  /** Removes the key from all levels; false if none had it. If a tier fails (tier_failed) the object may still be there, in L1 too. */
  delete(key: ObjectKey, precondition: Precondition | undefined): Promise<boolean> {
    const { l1, latch, tiers } = this.#context;
    return latch.run(key, async () => {
      const found = precondition === undefined ? undefined : await this.#lookUp(key);
      assertAllowed(precondition, this.#now(key, found));
      const outdated = this.#stores.isUnsaved(key);
      const results = await Promise.allSettled(tiers.map((tier) => tier.delete(key)));
      for (const result of results) if (result.status === "rejected") throw result.reason;
      const inTier = !outdated && results.some((result) => result.status === "fulfilled" && result.value);
      // A write may have been acknowledged from L1 meanwhile; its store job is still to come and loses nothing.
      assertAllowed(precondition, this.#now(key, found));
      // From here on without await: the object disappears, and everything that could bring it back ends.
      this.#stores.cancel(key);
      this.#loads.detach(key);
      const [inL1] = l1.delete([key], "deleted");
      return inL1 === true || inTier;
    });
  }

  /** Removes every object, or one tenant's, from all levels or one; returns how many left each level. Throws tier_failed. */
  clear(tenant: string | undefined, tierName: string | undefined): Promise<Readonly<Record<string, number>>> {
    if (tierName === "l1") return this.#clearL1(tenant);
    const { tiers, latch, l1 } = this.#context;
    return latch.exclusive(async () => {
      const chosen = tiers.filter((tier) => tierName === undefined || tier.name === tierName);
      const results = await Promise.allSettled(chosen.map((tier) => tier.clear(tenant)));
      const removed: Record<string, number> = {};
      for (const [i, result] of results.entries()) {
        if (result.status === "rejected") throw result.reason;
        removed[chosen[i]?.name ?? ""] = result.value;
      }
      if (tierName !== undefined) return removed;
      this.#stores.cancelAll(tenant);
      removed["l1"] = l1.clear(tenant);
      // A load that still runs must not be admitted: deleting its key tells L1 so.
      l1.delete(this.#loads.detachAll(tenant), "cleared");
      return removed;
    });
  }

  /** What is not yet in the tiers is stored first: clearing one level loses no acknowledged object. */
  async #clearL1(tenant: string | undefined): Promise<Readonly<Record<string, number>>> {
    while (this.#stores.hasUnsaved(tenant)) await this.#stores.flush();
    return { l1: this.#context.l1.clear(tenant) };
  }

  async #lookUp(key: ObjectKey): Promise<ObjectMeta | undefined> {
    const resident = this.#now(key, undefined);
    if (resident !== undefined || this.#stores.isUnsaved(key)) return resident;
    return (await askTiers(this.#context.tiers, (tier) => tier.lookup(key)))?.answer;
  }

  #now(key: ObjectKey, inTiers: ObjectMeta | undefined): ObjectMeta | undefined {
    const resident = this.#context.l1.peek(key);
    return resident !== undefined || this.#stores.isUnsaved(key) ? resident : inTiers;
  }
}

function assertAllowed(precondition: Precondition | undefined, current: ObjectMeta | undefined): void {
  if (precondition !== undefined && !precondition(current)) {
    throw new VitrineError("precondition_failed", "delete object: its precondition does not hold");
  }
}
