import { VitrineError } from "../../core/errors.ts";
import type { ObjectKey } from "../../core/key.ts";
import type { StorageContext } from "../context.ts";
import { isOutdating } from "../current.ts";
import type { TierReader } from "../tiers/tier_reader.ts";
import type { Explanation, Tried } from "../storage.ts";
import { peek } from "./follow_load.ts";
import type { MissReason } from "../../core/events.ts";
import type { Loss } from "../shared/ghost_table.ts";

/**
 * The levels that a GET of the key would try now, in order, up to the one that answers, and why the others do not. Asks
 * L1 without a lease or a touch, and each tier by a lookup, in the same order and under the same watch as a real
 * lookup. Never rejects because of a tier.
 */
export async function explain(context: StorageContext, key: ObjectKey): Promise<Explanation> {
  for (;;) {
    const watch = await context.latch.watch(key);
    const memory = await timed(context, () => lookInMemory(context, key));
    if (memory.result === "hit") return { result: "hit", tier: "l1", tried: [memory] };
    const tried = [memory];
    if (isOutdating(context.l1.know(key))) {
      // The expired object is newer than the tiers' copies, so they are not asked.
      for (const tier of context.tiers) tried.push(skipped(tier));
      return { result: "miss", reason: "expired", tried };
    }
    for (const [index, tier] of context.tiers.entries()) {
      const answer = await timed(context, () => lookInTier(context, { key, tier, index }));
      tried.push(answer);
      if (answer.result === "hit") break;
    }
    const found = tried.find(({ result }) => result === "hit");
    // As in a lookup: the key was changed meanwhile, or a load already had it.
    if (watch.disturbed || (found === undefined && peek(context, key) !== undefined)) continue;
    if (found !== undefined) return { result: "hit", tier: found.tier, tried };
    if (tried.some(({ result }) => result === "error")) return { result: "error", reason: "tier_failed", tried };
    return { result: "miss", reason: missReason(context, key), tried };
  }
}

type Answer = Omit<Tried, "seconds">;

function lookInMemory(context: StorageContext, key: ObjectKey): Answer {
  if (context.l1.peek(key) !== undefined) return { tier: "l1", result: "hit" };
  if (isOutdating(context.l1.know(key))) return { tier: "l1", result: "miss", reason: "expired" };
  return missIn(context, { key, tier: "l1", number: 0 });
}

async function lookInTier(
  context: StorageContext,
  { key, tier, index }: { readonly key: ObjectKey; readonly tier: TierReader; readonly index: number },
): Promise<Answer> {
  if (tier.stale.has(key)) return { tier: tier.name, result: "skipped", reason: "outdated" };
  try {
    if (await tier.lookup(key) !== undefined) return { tier: tier.name, result: "hit" };
    return missIn(context, { key, tier: tier.name, number: index + 1 });
  } catch (error) {
    if (!(error instanceof VitrineError)) throw error;
    return { tier: tier.name, result: "error", reason: "tier_failed", error: error.message };
  }
}

/** A miss in one level, with the removal history of the key there. */
function missIn(
  { shared, clock }: StorageContext,
  { key, tier, number }: { readonly key: ObjectKey; readonly tier: string; readonly number: number },
): Answer {
  const { losses, wasHere } = shared.ghosts.recall(key);
  const loss = losses.find((each) => each.tier === number);
  if (loss === undefined) return { tier, result: "miss", reason: wasHere ? "unknown" : "never_stored" };
  // By the current wall clock, like Age.
  const removedMs = clock.nowMs() - (clock.monotonicMs() - loss.atMs);
  return { tier, result: "miss", reason: loss.reason, removedMs };
}

function skipped(tier: TierReader): Tried {
  return { tier: tier.name, result: "skipped", reason: "outdated", seconds: 0 };
}

async function timed({ clock }: StorageContext, look: () => Answer | Promise<Answer>): Promise<Tried> {
  const startMs = clock.monotonicMs();
  const answer = await look();
  return { ...answer, seconds: (clock.monotonicMs() - startMs) / 1000 };
}

/** The reason why a key that was just looked up is a miss: how its last copy was lost. */
export function missReason({ l1, shared }: Pick<StorageContext, "l1" | "shared">, key: ObjectKey): MissReason {
  // A lookup removes an expired object and records its loss, unless the object is still to be stored.
  if (isOutdating(l1.know(key))) return "expired";
  const { losses, wasHere } = shared.ghosts.recall(key);
  return lastOf(losses)?.reason ?? (wasHere ? "unknown" : "never_stored");
}

/** The newest loss; for equal times L1's, which removes its copy after the tiers. */
function lastOf(losses: readonly Loss[]): Loss | undefined {
  let last: Loss | undefined;
  for (const loss of losses) {
    if (last === undefined || loss.atMs > last.atMs || (loss.atMs === last.atMs && loss.tier === 0)) last = loss;
  }
  return last;
}
