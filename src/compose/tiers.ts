import type { Config } from "../config.ts";
import type { Clock } from "../core/clock.ts";
import type { Publish } from "../core/events.ts";
import type { EventMap } from "../events/catalogue.ts";
import type { L2Adapter } from "../l2/adapter.ts";
import type { FolderOwner } from "../l2/kind.ts";
import { openTiers } from "../l2/mod.ts";
import type { LossListeners } from "../storage/loss_listeners.ts";
import { TimeoutAdapter } from "../l2/wrap/timeout.ts";
import { every } from "./every.ts";

/** Opens the tiers that the settings name, each in its wrappers. Throws VitrineError if one cannot be opened. */
export async function composeTiers(
  { l2, l2TimeoutMs: timeoutMs }: Pick<Config, "l2" | "l2TimeoutMs">,
  options: {
    readonly publish: Publish<EventMap>;
    readonly clock: Clock;
    readonly onTierRemoved: LossListeners["tier"];
    readonly folders?: FolderOwner | undefined;
  },
): Promise<readonly L2Adapter[]> {
  const tiers = await openTiers(l2, options);
  if (timeoutMs === 0) return tiers;
  return tiers.map((tier) => new TimeoutAdapter(tier, { publish: options.publish, timeoutMs, every }));
}
