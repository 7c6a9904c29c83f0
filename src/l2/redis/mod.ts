import type { AdapterKind, TierContext, TierPlan } from "../kind.ts";
import type { TierUrl } from "../url.ts";
import { RedisAdapter } from "./adapter.ts";
import { connector } from "./connection.ts";
import { Engine } from "./engine.ts";
import { KeySpace, stateName } from "./keys.ts";
import { type RedisKind, redisPlace, type RedisSettings, redisSettings } from "./settings.ts";

/**
 * Into how many shards the objects of a tier fall; all servers that share one must agree. A single engine needs one, a
 * cluster has more of them than nodes, so that each node gets its share.
 */
const SHARDS: Readonly<Record<RedisKind, number>> = { single: 1, sentinel: 1, cluster: 64 };
/** How long a start waits for the engine; it goes on without. */
const PATIENCE_MS = 2000;

/** The schemes of tiers in a Valkey or Redis. */
export const redisKinds: readonly (readonly [string, AdapterKind])[] = (["single", "cluster", "sentinel"] as const)
  .flatMap((kind) => [false, true].map((tls) => [`redis${tls ? "s" : ""}${suffix(kind)}:`, kindOf({ kind, tls })]));

function suffix(kind: RedisKind): string {
  return kind === "single" ? "" : `+${kind}`;
}

function kindOf(which: { readonly kind: RedisKind; readonly tls: boolean }): AdapterKind {
  return { defaultName: "redis", isShared: true, plan: (url) => planRedisUrl(url, which) };
}

function planRedisUrl(url: TierUrl, which: { readonly kind: RedisKind; readonly tls: boolean }): TierPlan {
  const settings = redisSettings(url, which);
  url.finish();
  return { place: redisPlace(settings), open: (context) => openRedis(settings, context) };
}

/** Opens a tier; an engine that does not answer is no failure. */
export async function openRedis(
  settings: RedisSettings,
  { name, publish, clock, onRemoved }: Pick<TierContext, "name" | "publish" | "clock" | "onRemoved">,
): Promise<RedisAdapter> {
  const keys = new KeySpace(settings.prefix, SHARDS[settings.kind]);
  const engine = await Engine.open({
    tier: name,
    connect: connector(settings),
    names: keys.bases.map(stateName),
    onTrouble: (trouble) =>
      publish("l2.state.changed", {
        tier: name,
        state: trouble === undefined ? "usable" : "unusable",
        cause: trouble ?? "",
      }),
  }, PATIENCE_MS);
  return new RedisAdapter({ name, engine, keys, publish, clock, ...(onRemoved === undefined ? {} : { onRemoved }) });
}
