import type { TierContext } from "../kind.ts";
import { RedisAdapter } from "./adapter.ts";
import { connector } from "./connection.ts";
import { Engine } from "./engine.ts";
import { KeySpace, stateName } from "./keys.ts";
import type { RedisKind, RedisSettings } from "./settings.ts";

/**
 * Into how many shards the objects of a tier fall; all servers that share one must agree. A single engine needs one, a
 * cluster has more of them than nodes, so that each node gets its share.
 */
const SHARDS: Readonly<Record<RedisKind, number>> = { single: 1, sentinel: 1, cluster: 64 };
/** How long a start waits for the engine; it goes on without. */
const PATIENCE_MS = 2000;

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
