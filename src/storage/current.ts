import type { ObjectKey } from "../core/key.ts";
import { isExpired, type ObjectMeta } from "../core/object.ts";
import type { Known } from "../l1/l1.ts";
import type { StorageContext } from "./context.ts";
import { askTiers } from "./tiers/tier_reader.ts";

/**
 * The current object of a key. Call it under the key's latch or a watch. Throws a tier's failure only if `mustKnow`.
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
 * The current object of a key, from L1's knowledge at this moment or, if L1 has none, from the tiers' object of a
 * moment ago.
 */
export function nowOf(
  { clock }: Pick<StorageContext, "clock">,
  known: Known | undefined,
  inTiers: ObjectMeta | undefined,
): ObjectMeta | undefined {
  if (known !== undefined) return known.meta;
  return inTiers !== undefined && isExpired(inTiers, clock.nowMs()) ? undefined : inTiers;
}

/** True if a key's object expired before it was stored: the key is a miss, and the tiers' object is even older. */
export function isOutdating(known: Known | undefined): boolean {
  return known !== undefined && known.meta === undefined;
}
