import { VitrineError } from "../../core/errors.ts";
import type { Tier } from "../tiers/tier.ts";

/** How a store in one tier ended. */
export interface StoreResult {
  readonly tier: Tier;
  /** undefined: stored. */
  readonly error: Error | undefined;
}

/** Stores in one tier and tells how it ended; never rejects. */
export async function storeResult(tier: Tier, storing: Promise<void>): Promise<StoreResult> {
  try {
    await storing;
    return { tier, error: undefined };
  } catch (cause) {
    const error = cause instanceof Error ? cause : new VitrineError("tier_failed", "store object: failed", { cause });
    return { tier, error };
  }
}
