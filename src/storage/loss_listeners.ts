import type { Clock } from "../core/clock.ts";
import type { ObjectKey } from "../core/key.ts";
import type { L1RemovalListener } from "../l1/l1.ts";
import type { TierRemovalReason } from "../l2/adapter.ts";
import type { GhostIndex } from "./shared/ghost_index.ts";

/** Removal listeners for L1 and the tiers. */
export interface LossListeners {
  readonly l1: L1RemovalListener;
  /** `tier`: its index, from 0. */
  readonly tier: (tier: number, key: ObjectKey, reason: TierRemovalReason) => void;
}

/** Adds removals from L1, and those that the tiers make on their own, to the removal history. */
export function lossListeners(ghosts: GhostIndex, clock: Clock): LossListeners {
  return {
    l1: (key, reason) => {
      // Not a loss: another object replaced it, or it was to leave with its last reader.
      if (reason === "replaced" || reason === "temporary") return;
      ghosts.lostEncoded(key, { tier: 0, reason, atMs: clock.monotonicMs() });
    },
    tier: (tier, key, reason) => {
      // Deletions are our own; Tier records their reason.
      if (reason === "replaced" || reason === "deleted") return;
      ghosts.lost(key, { tier: tier + 1, reason, atMs: clock.monotonicMs() });
    },
  };
}
