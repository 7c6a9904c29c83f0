import { shareRuns } from "../../core/coalesce.ts";
import type { ObjectKey, Precondition } from "../../core/object.ts";
import type { ForeignChange } from "../../l2/adapter.ts";
import { ignoreFenced, type OwnerContext } from "../context.ts";
import { assertHolds, currentOf, isOutdating, nowOf } from "../current.ts";
import type { Tier } from "../tiers/tier.ts";
import type { WriteBack } from "./write_back.ts";

/** Deletes and clears objects so that no tier, pending store or running load can bring them back. */
export class Remover {
  readonly #context: OwnerContext;
  readonly #stores: WriteBack;

  constructor(context: OwnerContext, stores: WriteBack) {
    this.#context = context;
    this.#stores = stores;
  }

  delete(
    key: ObjectKey,
    precondition: Precondition | undefined,
    assertWaiting: () => void = () => {},
  ): Promise<boolean> {
    const { l1, keyLock, tiers } = this.#context;
    return keyLock.run(key, async () => {
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
    const { tiers, keyLock } = this.#context;
    const chosen = tiers.filter((tier) => tierName === undefined || tier.name === tierName);
    const removed: Record<string, number> = {};
    const clearings = await keyLock.exclusive(async () => {
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

/**
 * Drops the copies that became outdated because another server has changed a shared tier: those in L1, and in the tiers
 * that are not shared. What is dirty here stays, because its store is the later change.
 */
export class ForeignChanges {
  readonly #context: OwnerContext;
  readonly #dropAll: () => Promise<void>;
  /** The tiers that only this server changes. */
  readonly #privateTiers: readonly Tier[];
  #stops: readonly (() => void)[] = [];

  constructor(context: OwnerContext) {
    this.#context = context;
    this.#privateTiers = context.tiers.filter((tier) => tier.keys() !== undefined);
    this.#dropAll = shareRuns(() => this.#clear(undefined, this.#privateTiers));
  }

  /**
   * Follows the changes in all shared tiers. What is in L1 already may be outdated. Private tiers are kept: they may
   * have what no shared tier took.
   */
  start(): void {
    const { tiers, l1 } = this.#context;
    this.#stops = tiers.flatMap((tier) => tier.followChanges((change) => this.#note(change)) ?? []);
    if (this.#stops.length > 0 && l1.usage().objects > 0) this.#run(this.#clear(undefined, []));
  }

  stop(): void {
    for (const stop of this.#stops) stop();
  }

  #note(change: ForeignChange): void {
    if (change.kind === "key") this.#run(this.#drop(change.key));
    else if (change.kind === "tenant") this.#run(this.#clear(change.tenant, this.#privateTiers));
    else this.#run(this.#dropAll());
  }

  #run(dropping: Promise<void>): void {
    void dropping.catch(ignoreFenced);
  }

  async #drop(key: ObjectKey): Promise<void> {
    const { l1, keyLock, timers } = this.#context;
    await keyLock.run(key, async () => {
      // A store that has just ended is given back first: what L1 calls dirty after that is stored later.
      await timers.turn();
      await Promise.all(this.#privateTiers.map((tier) => tier.forget(key)));
      l1.delete([key], "replaced", (known) => known?.isDirty !== true);
    });
  }

  async #clear(tenant: string | undefined, privateTiers: readonly Tier[]): Promise<void> {
    const { l1, keyLock, timers } = this.#context;
    await keyLock.exclusive(async () => {
      await timers.turn();
      const clearings = privateTiers.map((tier) => tier.clear(tenant));
      for (const { gone } of clearings) gone.catch(() => undefined);
      await Promise.allSettled(clearings.map(({ invisible }) => invisible));
      const steps = l1.clear(tenant, "clean");
      while (steps.next().done !== true) await timers.turn();
    });
  }
}
