import { VitrineError } from "../../core/errors.ts";
import type { MissReason } from "../../core/events.ts";
import type { ObjectKey } from "../../core/object.ts";
import type { StorageContext } from "../context.ts";
import { isOutdating } from "../current.ts";
import type { Loss } from "../shared/removal_history.ts";
import type { Explanation, Tried } from "../storage.ts";
import type { TierReader } from "../tiers/tier_reader.ts";
import { peek } from "./memory_read.ts";

/**
 * The levels that a GET of the key would try now, in order, up to the one that answers, and why the others do not. Asks
 * L1 without a lease or a touch, and each tier by a lookup, in the same order and under the same snapshot as a real
 * lookup. Never rejects because of a tier.
 */
export async function explain(context: StorageContext, key: ObjectKey): Promise<Explanation> {
  for (;;) {
    const snapshot = await context.keyLock.snapshot(key);
    const memory = await timed(context, () => lookInMemory(context, key));
    if (memory.result === "hit") return { result: "hit", tier: "l1", tried: [memory] };
    const tried = [memory];
    if (isOutdating(context.l1.know(key))) {
      // The expired object is newer than the tiers' copies, so they are not asked.
      for (const tier of context.tiers) tried.push(skipped(tier));
      return { result: "miss", reason: "expired", tried };
    }
    const loading = peek(context, key);
    if (loading !== undefined && loading.tier !== "l1") {
      // A GET joins the load, whatever its tier would say by now.
      return { result: "hit", tier: loading.tier, tried: [memory, { tier: loading.tier, result: "hit", seconds: 0 }] };
    }
    for (const [index, tier] of context.tiers.entries()) {
      const answer = await timed(context, () => lookInTier(context, { key, tier, index }));
      tried.push(answer);
      if (answer.result === "hit") break;
    }
    const found = tried.find(({ result }) => result === "hit");
    // As in a lookup: the key was changed meanwhile, or a load already had it.
    if (snapshot.hasChanged || (found === undefined && peek(context, key) !== undefined)) continue;
    if (found !== undefined) return { result: "hit", tier: found.tier, tried };
    const failed = context.tiers.filter(({ name }) =>
      tried.some((each) => each.tier === name && each.result === "error")
    );
    if (failed.length > 0) {
      const result = failed.every((tier) => tier.missesOnError) ? "miss" : "error";
      return { result, reason: "tier_failed", tried };
    }
    return { result: "miss", reason: missReason(context, key), tried };
  }
}

type Answer = Omit<Tried, "seconds">;

function lookInMemory(context: StorageContext, key: ObjectKey): Answer {
  if (context.l1.peek(key) !== undefined) return { tier: "l1", result: "hit" };
  if (isOutdating(context.l1.know(key))) return { tier: "l1", result: "miss", reason: "expired" };
  return missIn(context, { key, tier: "l1", number: 0, isShared: false, said: undefined });
}

async function lookInTier(
  context: StorageContext,
  { key, tier, index }: { readonly key: ObjectKey; readonly tier: TierReader; readonly index: number },
): Promise<Answer> {
  if (tier.stale.has(key)) return { tier: tier.name, result: "skipped", reason: "outdated" };
  try {
    if (await tier.lookup(key) !== undefined) return { tier: tier.name, result: "hit" };
    const { name, isShared } = tier;
    return missIn(context, { key, tier: name, number: index + 1, isShared, said: tier.missReason(key) });
  } catch (error) {
    if (!(error instanceof VitrineError)) throw error;
    return { tier: tier.name, result: "error", reason: "tier_failed", error: error.message };
  }
}

/** A miss in one level, with the removal history of the key there. */
function missIn(
  { shared, clock }: StorageContext,
  { key, tier, number, isShared, said }: {
    readonly key: ObjectKey;
    readonly tier: string;
    readonly number: number;
    readonly isShared: boolean;
    /** The reason that the tier itself gave. */
    readonly said: MissReason | undefined;
  },
): Answer {
  // The tier knows what other servers have stored there and lost.
  if (said !== undefined) return { tier, result: "miss", reason: said };
  const { losses, wasStored } = shared.history.recall(key);
  const loss = losses.find((each) => each.tier === number);
  if (loss === undefined) return { tier, result: "miss", reason: wasStored || isShared ? "unknown" : "never_stored" };
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
export function missReason(
  { l1, shared, tiers }: Pick<StorageContext, "l1" | "shared" | "tiers">,
  key: ObjectKey,
): MissReason {
  // A lookup removes an expired object and records its loss, unless the object is still to be stored.
  if (isOutdating(l1.know(key))) return "expired";
  const { losses, wasStored } = shared.history.recall(key);
  const said = tiers.map((tier) => tier.missReason(key)).findLast((reason) => reason !== undefined);
  // Unless it has lost the object, the tier knows no more than this history, in which L1's losses are, too.
  if (said !== undefined && said !== "unknown" && (said !== "never_stored" || losses.length === 0)) return said;
  // What other servers have stored and lost is not in this history.
  return lastOf(losses)?.reason ?? (wasStored || tiers.some((tier) => tier.isShared) ? "unknown" : "never_stored");
}

/** The newest loss; for equal times L1's, which removes its copy after the tiers. */
function lastOf(losses: readonly Loss[]): Loss | undefined {
  let last: Loss | undefined;
  for (const loss of losses) {
    if (last === undefined || loss.atMs > last.atMs || (loss.atMs === last.atMs && loss.tier === 0)) last = loss;
  }
  return last;
}
