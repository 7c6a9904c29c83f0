import type { TierContext } from "../kind.ts";
import { RedisAdapter } from "./adapter.ts";
import { connector } from "./connection.ts";
import { Engine } from "./engine.ts";
import { KeySpace, stateName } from "./keys.ts";
import type { RedisKind, RedisSettings } from "./settings.ts";

/**
 * Number of shards of a tier; all servers that share one must agree. A single engine needs one. A cluster has more
 * shards than nodes, so that each node gets its share.
 */
const SHARDS: Readonly<Record<RedisKind, number>> = { single: 1, sentinel: 1, cluster: 64 };
/** Milliseconds for which a start waits for the engine before it continues without it. */
const PATIENCE_MS = 2000;

/** Opens a tier; succeeds even if the engine does not answer. */
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
