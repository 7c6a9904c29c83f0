import { VitrineError } from "../../core/errors.ts";
import type { TierReader } from "./tier_reader.ts";

/** What the first tier that has the object said. */
export interface TierAnswer<T> {
  readonly answer: T;
  readonly tier: TierReader;
}

/**
 * Asks the tiers in order until one has it. undefined: all answered and none has it. Throws tier_failed if none has it
 * and one could not answer.
 */
export async function askTiers<T>(
  tiers: readonly TierReader[],
  ask: (tier: TierReader) => Promise<T | undefined>,
): Promise<TierAnswer<T> | undefined> {
  let failure: { readonly cause: unknown } | undefined;
  for (const tier of tiers) {
    try {
      const answer = await ask(tier);
      if (answer !== undefined) return { answer, tier };
    } catch (cause) {
      failure = { cause };
    }
  }
  if (failure === undefined) return undefined;
  throw new VitrineError("tier_failed", "look up object: a tier failed and no other has it", failure);
}
