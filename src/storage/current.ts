import type { ObjectKey } from "../core/key.ts";
import { isExpired, type ObjectMeta } from "../core/object.ts";
import type { Known } from "../l1/types.ts";
import type { StorageContext } from "./context.ts";
import { askTiers } from "./tiers/tier_reader.ts";

/**
 * The object that a key has now. To be called under its latch or a watch. A tier's failure counts only if somebody asks
 * for the truth.
 */
export async function currentOf(
  context: StorageContext,
  key: ObjectKey,
  { mustKnow }: { readonly mustKnow: boolean },
): Promise<ObjectMeta | undefined> {
  const { l1, tiers, shared } = context;
  const known = l1.know(key);
  if (known !== undefined || shared.isNew(key)) return known?.meta;
  let found: ObjectMeta | undefined;
  try {
    found = (await askTiers(tiers, (tier) => tier.lookup(key)))?.answer;
  } catch (error) {
    if (mustKnow) throw error;
  }
  return nowOf(context, l1.know(key), found);
}

/**
 * The current object of a key, by what L1 knows at this moment and, if that is nothing, by what the tiers held a moment
 * ago.
 */
export function nowOf(
  { clock }: Pick<StorageContext, "clock">,
  known: Known | undefined,
  inTiers: ObjectMeta | undefined,
): ObjectMeta | undefined {
  if (known !== undefined) return known.meta;
  return inTiers !== undefined && isExpired(inTiers, clock.nowMs()) ? undefined : inTiers;
}

/** Whether a key's object has expired before it was stored: it is a miss, and what tiers have is older still. */
export function isOutdating(known: Known | undefined): boolean {
  return known !== undefined && known.meta === undefined;
}
