import type { Config } from "../config.ts";
import type { Clock } from "../core/clock.ts";
import type { Publish } from "../core/events.ts";
import type { EventMap } from "../events/catalogue.ts";
import type { L2Adapter, L2Reader } from "../l2/adapter.ts";
import type { FolderLine, FolderOwner } from "../l2/kind.ts";
import { openReaders, openTiers } from "../l2/mod.ts";
import type { LossListeners } from "../storage/loss_listeners.ts";
import { every } from "../core/timers.ts";
import { formatSize } from "../core/size.ts";
import { causeText } from "../core/errors.ts";
import { allocateArena, type ArenaMemory } from "../l1/arena/arena.ts";
import { L1Manager } from "../l1/l1_manager.ts";
import type { L1RemovalListener, StoreLimits } from "../l1/l1.ts";
import { TimeoutAdapter, TimeoutReader } from "../l2/timeout.ts";
type TierSettings = Pick<Config, "l2" | "l2TimeoutMs">;

interface Listeners {
  readonly publish: Publish<EventMap>;
  readonly clock: Clock;
  readonly onTierRemoved: LossListeners["tier"];
}

/** Opens the configured tiers with their wrappers, for their owner. Throws VitrineError if one cannot be opened. */
export async function composeTiers(
  { l2, l2TimeoutMs: timeoutMs }: TierSettings,
  options: Listeners & { readonly folders?: FolderOwner | undefined },
): Promise<readonly L2Adapter[]> {
  const tiers = await openTiers(l2, options);
  if (timeoutMs === 0) return tiers;
  return tiers.map((tier) => new TimeoutAdapter(tier, { publish: options.publish, timeoutMs, every }));
}

/** Opens the configured tiers for a thread that only reads. `line` leads to the owner of the folders. */
export async function composeReaders(
  { l2, l2TimeoutMs: timeoutMs }: TierSettings,
  options: Listeners & { readonly line: FolderLine },
): Promise<readonly L2Reader[]> {
  const tiers = await openReaders(l2, options);
  if (timeoutMs === 0) return tiers;
  return tiers.map((tier) => new TimeoutReader(tier, { publish: options.publish, timeoutMs, every }));
}

/** The configured limits of dirty objects. */
export function storeLimitsOf(
  config: Pick<Config, "storeQueueEntries" | "storeQueueBytes" | "storeQueueAgeMs">,
): StoreLimits {
  return {
    maxEntries: config.storeQueueEntries,
    maxBytes: config.storeQueueBytes,
    maxAgeMs: config.storeQueueAgeMs,
  };
}

/** Allocates the configured memory of L1. Throws if the system does not have enough. */
export function allocateL1(config: Config): ArenaMemory {
  const { l1SizeBytes: sizeBytes, l1MaxObjects: maxObjects } = config;
  try {
    return allocateArena({ sizeBytes, maxObjects, hashSeed: crypto.getRandomValues(new Uint32Array(1))[0] ?? 0 });
  } catch (cause) {
    const why = causeText(cause);
    throw new Error(`allocate L1, --l1-size ${formatSize(sizeBytes)}, --l1-max-objects ${maxObjects}: ${why}`, {
      cause,
    });
  }
}

/** Opens a thread's view of L1. Holder 1, which is main, formats the tables. */
export function openL1(
  memory: ArenaMemory,
  { config, ...options }: {
    readonly config: Config;
    readonly holder: number;
    readonly clock: Clock;
    readonly publish: Publish<EventMap>;
    readonly onRemoved: L1RemovalListener;
  },
): L1Manager {
  return new L1Manager(memory, {
    ...options,
    policy: config.l1Policy,
    admissionLimitBytes: config.l1AdmissionLimitBytes,
    readLeaseMs: config.l1ReadLeaseMs,
    writeLeaseMs: config.l1WriteLeaseMs,
    highWatermark: config.l1HighWatermark,
    lowWatermark: config.l1LowWatermark,
    format: options.holder === 1,
  });
}
