import type { OwnerContext } from "../context.ts";

/**
 * Tries again to delete outdated copies that could not be deleted and whose names are known here, in each tier until it
 * fails. Never throws.
 */
export async function repairStale({ tiers, latch }: Pick<OwnerContext, "tiers" | "latch">): Promise<void> {
  for (const tier of tiers) {
    let failed = false;
    for (let key = tier.stale.first(); key !== undefined && !failed; key = tier.stale.first()) {
      const stale = key;
      await latch.run(stale, () => tier.stale.has(stale) ? tier.forget(stale) : undefined);
      failed = tier.stale.has(stale);
    }
  }
}
