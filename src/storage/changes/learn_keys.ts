import { VitrineError } from "../../core/errors.ts";
import type { OwnerContext } from "../context.ts";

/**
 * Enters the keys of all objects that were in the tiers before this server into the ghost index, some at a time, and
 * then notes that a key that is not in it is nowhere: a write then needs not ask the tiers. Without effect where others
 * can store in a tier, or if `isOver` becomes true meanwhile. Never rejects.
 */
export async function learnKeys(context: OwnerContext, isOver: () => boolean = () => false): Promise<void> {
  const { tiers, shared, timers } = context;
  if (tiers.length === 0) return;
  const sources = tiers.map((tier) => ({ tier, source: tier.keys() }));
  try {
    for (const { tier, source } of sources) {
      if (source === undefined) return;
      for await (const keys of source) {
        if (isOver()) return;
        for (const key of keys) {
          shared.ghosts.storing(key);
          // The names of those that an earlier owner marked.
          if (shared.stale.hasAny) tier.stale.met(key);
        }
        await timers.turn();
      }
    }
    if (!isOver()) shared.knowsAllKeys = true;
  } catch (error) {
    // A tier in trouble: writes go on asking.
    if (!(error instanceof VitrineError)) throw error;
  }
}
