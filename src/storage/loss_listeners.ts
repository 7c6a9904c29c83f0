import type { Clock } from "../core/clock.ts";
import type { ObjectKey } from "../core/key.ts";
import type { L1RemovalListener } from "../l1/l1.ts";
import type { TierRemovalReason } from "../l2/adapter.ts";
import type { GhostIndex } from "./shared/ghost_index.ts";

/** Listeners for L1 and the tiers. */
export interface LossListeners {
  readonly l1: L1RemovalListener;
  /** `tier`: its index, from 0. */
  readonly tier: (tier: number, key: ObjectKey, reason: TierRemovalReason) => void;
}

/** Tells the ghost index of what leaves L1 and, by their own doing, the tiers. */
export function lossListeners(ghosts: GhostIndex, clock: Clock): LossListeners {
  return {
    l1: (key, reason) => {
      // No loss: another object has its place; or it was to leave with its last reader.
      if (reason === "replaced" || reason === "temporary") return;
      ghosts.lostEncoded(key, { tier: 0, reason, atMs: clock.monotonicMs() });
    },
    tier: (tier, key, reason) => {
      // Deleted: by us, and Tier knows why.
      if (reason === "replaced" || reason === "deleted") return;
      ghosts.lost(key, { tier: tier + 1, reason, atMs: clock.monotonicMs() });
    },
  };
}
