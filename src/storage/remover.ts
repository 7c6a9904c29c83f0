import { VitrineError } from "../core/errors.ts";
import type { ObjectKey } from "../core/key.ts";
import type { ObjectMeta } from "../core/object.ts";
import type { StorageContext } from "./context.ts";
import { askTiers } from "./tiers/ask_tiers.ts";
import type { Precondition } from "./types.ts";
import type { Storing } from "./storing.ts";

/** Deletes and clears so that nothing brings an object back: no tier, no queued store, no running load. */
export class Remover {
  readonly #context: StorageContext;
  readonly #storing: Storing;

  constructor(context: StorageContext, storing: Storing) {
    this.#context = context;
    this.#storing = storing;
  }

  /**
   * Removes the key from all levels; false if none had it. If a tier fails (tier_failed) the object may still be there,
   * in L1 too.
   */
  delete(key: ObjectKey, precondition: Precondition | undefined): Promise<boolean> {
    const { l1, latch, tiers } = this.#context;
    return latch.run(key, async () => {
      const found = precondition === undefined ? undefined : await this.#lookUp(key);
      assertAllowed(precondition, this.#now(key, found));
      const outdated = l1.isExpiredUnsaved(key);
      const results = await Promise.allSettled(tiers.map((tier) => tier.delete(key)));
      for (const result of results) if (result.status === "rejected") throw result.reason;
      const inTier = !outdated && results.some((result) => result.status === "fulfilled" && result.value);
      return latch.turn(key, () => {
        // A write may have been acknowledged from L1 meanwhile; its store job is still to come and loses nothing.
        assertAllowed(precondition, this.#now(key, found));
        // The object disappears, and everything that could bring it back ends: stores find it gone from L1, loads are
        // superseded there.
        const [inL1] = l1.delete([key], "deleted");
        return inL1 === true || inTier;
      });
    });
  }

  /**
   * Removes every object, or one tenant's, from all levels or one; returns how many left each level. Throws
   * tier_failed. All other changes and loads wait only until the tiers show none of the objects any more; what it takes
   * to remove them for good goes on beside them.
   */
  async clear(tenant: string | undefined, tierName: string | undefined): Promise<Readonly<Record<string, number>>> {
    if (tierName === "l1") return await this.#clearL1(tenant);
    const { tiers, latch } = this.#context;
    const chosen = tiers.filter((tier) => tierName === undefined || tier.name === tierName);
    const removed: Record<string, number> = {};
    const clearings = await latch.exclusive(async () => {
      const started = chosen.map((tier) => tier.clear(tenant));
      for (const { gone } of started) gone.catch(() => undefined); // Awaited below, unless another tier fails before.
      assertFulfilled(await Promise.allSettled(started.map(({ invisible }) => invisible)));
      if (tierName === undefined) {
        removed["l1"] = await this.#emptyL1(tenant, "all");
      }
      return started;
    });
    const counts = await Promise.allSettled(clearings.map(({ gone }) => gone));
    assertFulfilled(counts);
    for (const [i, count] of counts.entries()) {
      if (count.status === "fulfilled") removed[chosen[i]?.name ?? ""] = count.value;
    }
    return removed;
  }

  /** What is not yet in the tiers is stored first: clearing one level loses no acknowledged object. */
  async #clearL1(tenant: string | undefined): Promise<Readonly<Record<string, number>>> {
    await this.#storing.settle();
    return { l1: await this.#emptyL1(tenant, "saved") };
  }

  async #emptyL1(tenant: string | undefined, which: "all" | "saved"): Promise<number> {
    const { l1, timers } = this.#context;
    let removed = 0;
    for (const step of l1.clear(tenant, which)) {
      removed += step;
      await timers.turn();
    }
    return removed;
  }

  async #lookUp(key: ObjectKey): Promise<ObjectMeta | undefined> {
    const resident = this.#now(key, undefined);
    if (resident !== undefined || this.#context.l1.isExpiredUnsaved(key)) return resident;
    return (await askTiers(this.#context.tiers, (tier) => tier.lookup(key)))?.answer;
  }

  #now(key: ObjectKey, inTiers: ObjectMeta | undefined): ObjectMeta | undefined {
    const { l1 } = this.#context;
    const resident = l1.peek(key);
    return resident !== undefined || l1.isExpiredUnsaved(key) ? resident : inTiers;
  }
}

function assertAllowed(precondition: Precondition | undefined, current: ObjectMeta | undefined): void {
  if (precondition !== undefined && !precondition(current)) {
    throw new VitrineError("precondition_failed", "delete object: its precondition does not hold");
  }
}

function assertFulfilled(results: readonly PromiseSettledResult<unknown>[]): void {
  for (const result of results) if (result.status === "rejected") throw result.reason;
}
