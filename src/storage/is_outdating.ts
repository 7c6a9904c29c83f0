import type { Known } from "../l1/types.ts";

/** Whether a key's object has expired before it was stored: it is a miss, and what tiers have is older still. */
export function isOutdating(known: Known | undefined): boolean {
  return known !== undefined && known.meta === undefined;
}
