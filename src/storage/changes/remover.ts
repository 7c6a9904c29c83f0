import type { ObjectKey } from "../../core/key.ts";
import type { Precondition } from "../../core/object.ts";
import type { OwnerContext } from "../context.ts";
import { currentOf, isOutdating, nowOf } from "../current.ts";
import { assertHolds } from "./admission.ts";
import type { StoreController } from "./store_controller.ts";

/** Deletes and clears objects so that no tier, pending store or running load can bring them back. */
export class Remover {
  readonly #context: OwnerContext;
  readonly #stores: StoreController;

  constructor(context: OwnerContext, stores: StoreController) {
    this.#context = context;
    this.#stores = stores;
  }

  delete(
    key: ObjectKey,
    precondition: Precondition | undefined,
    assertWaiting: () => void = () => {},
  ): Promise<boolean> {
    const { l1, latch, tiers } = this.#context;
    return latch.run(key, async () => {
      assertWaiting();
      const found = precondition && await currentOf(this.#context, key, { mustKnow: true });
      assertHolds(precondition, found);
      const isOutdated = isOutdating(l1.know(key));
      const results = await Promise.allSettled(tiers.map((tier) => tier.delete(key)));
      assertFulfilled(results);
      const inTier = !isOutdated && results.some((result) => result.status === "fulfilled" && result.value);
      // The object disappears, and everything that could bring it back ends: stores find it gone from L1, and loads are
      // superseded there. A write that was acknowledged from L1 meanwhile loses nothing to the deletes above: its store
      // is still to come.
      const [inL1] = l1.delete([key], "deleted", (now) => {
        assertWaiting();
        assertHolds(precondition, nowOf(this.#context, now, found));
        return true;
      });
      return inL1 === true || inTier;
    });
  }

  /**
   * Other changes and loads wait only until the tiers show none of the objects any more. Removing them for good
   * continues alongside.
   */
  async clear(tenant: string | undefined, tierName: string | undefined): Promise<Readonly<Record<string, number>>> {
    if (tierName === "l1") return await this.#clearL1(tenant);
    const { tiers, latch } = this.#context;
    const chosen = tiers.filter((tier) => tierName === undefined || tier.name === tierName);
    const removed: Record<string, number> = {};
    const clearings = await latch.exclusive(async () => {
      const started = chosen.map((tier) => tier.clear(tenant));
      for (const { gone } of started) gone.catch(() => undefined); // Awaited below, unless another tier fails first.
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

  /** Stores dirty objects first, so that clearing one level loses no acknowledged object. */
  async #clearL1(tenant: string | undefined): Promise<Readonly<Record<string, number>>> {
    await this.#stores.settle();
    return { l1: await this.#emptyL1(tenant, "clean") };
  }

  async #emptyL1(tenant: string | undefined, which: "all" | "clean"): Promise<number> {
    const { l1, timers } = this.#context;
    let removed = 0;
    for (const step of l1.clear(tenant, which)) {
      removed += step;
      await timers.turn();
    }
    return removed;
  }
}

function assertFulfilled(results: readonly PromiseSettledResult<unknown>[]): void {
  for (const result of results) if (result.status === "rejected") throw result.reason;
}
