import type { ObjectKey } from "../../core/key.ts";
import type { MissReason } from "../../core/events.ts";
import type { StorageContext } from "../context.ts";
import { isOutdating } from "../is_outdating.ts";
import type { Loss } from "../shared/ghost_table.ts";

/** Why a key that was just looked for in vain is not here: how its last copy was lost. */
export function missReason({ l1, shared }: Pick<StorageContext, "l1" | "shared">, key: ObjectKey): MissReason {
  // What has expired leaves at a look, and its loss is noted, unless it is still to be stored.
  if (isOutdating(l1.know(key))) return "expired";
  const { losses, wasHere } = shared.ghosts.recall(key);
  return lastOf(losses)?.reason ?? (wasHere ? "unknown" : "never_stored");
}

/** The newest loss; at the same time L1's, which is asked to let go after the tiers. */
function lastOf(losses: readonly Loss[]): Loss | undefined {
  let last: Loss | undefined;
  for (const loss of losses) {
    if (last === undefined || loss.atMs > last.atMs || (loss.atMs === last.atMs && loss.tier === 0)) last = loss;
  }
  return last;
}
