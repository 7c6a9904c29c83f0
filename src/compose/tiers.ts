import type { Config } from "../config.ts";
import type { Clock } from "../core/clock.ts";
import type { Publish } from "../core/events.ts";
import type { EventMap } from "../events/catalogue.ts";
import type { StoreLimits } from "../l1/l1.ts";
import type { L2Adapter, L2Reader } from "../l2/adapter.ts";
import type { FolderLine, FolderOwner } from "../l2/kind.ts";
import { openReaders, openTiers } from "../l2/mod.ts";
import type { LossListeners } from "../storage/loss_listeners.ts";
import { TimeoutAdapter, TimeoutReader } from "../l2/timeout.ts";
import { every } from "./every.ts";

type TierSettings = Pick<Config, "l2" | "l2TimeoutMs">;

interface Listeners {
  readonly publish: Publish<EventMap>;
  readonly clock: Clock;
  readonly onTierRemoved: LossListeners["tier"];
}

/**
 * Opens the tiers that the settings name, for their owner, each in its wrappers. Throws VitrineError if one cannot be
 * opened.
 */
export async function composeTiers(
  { l2, l2TimeoutMs: timeoutMs }: TierSettings,
  options: Listeners & { readonly folders?: FolderOwner | undefined },
): Promise<readonly L2Adapter[]> {
  const tiers = await openTiers(l2, options);
  if (timeoutMs === 0) return tiers;
  return tiers.map((tier) => new TimeoutAdapter(tier, { publish: options.publish, timeoutMs, every }));
}

/** The same for a thread that only reads; `line` reaches the owner of the folders. */
export async function composeReaders(
  { l2, l2TimeoutMs: timeoutMs }: TierSettings,
  options: Listeners & { readonly line: FolderLine },
): Promise<readonly L2Reader[]> {
  const tiers = await openReaders(l2, options);
  if (timeoutMs === 0) return tiers;
  return tiers.map((tier) => new TimeoutReader(tier, { publish: options.publish, timeoutMs, every }));
}

/** The bounds on what is dirty, by the settings. */
export function storeLimitsOf(
  config: Pick<Config, "storeQueueEntries" | "storeQueueBytes" | "storeQueueAgeMs">,
): StoreLimits {
  return {
    maxEntries: config.storeQueueEntries,
    maxBytes: config.storeQueueBytes,
    maxAgeMs: config.storeQueueAgeMs,
  };
}
