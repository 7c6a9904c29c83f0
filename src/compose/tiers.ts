import { setTimeout as delay } from "node:timers/promises";
import type { Config } from "../config.ts";
import { type Clock, every } from "../core/clock.ts";
import type { Publish } from "../core/events.ts";
import type { EventMap } from "../events/catalogue.ts";
import type { StoreLimits } from "../l1/l1.ts";
import type { L2Adapter, L2Reader } from "../l2/adapter.ts";
import type { FolderLine, FolderOwner } from "../l2/url.ts";
import { openReaders, openTiers } from "../l2/mod.ts";
import { Scrubber } from "../l2/scrubber.ts";
import { TimeoutAdapter, TimeoutReader } from "../l2/timeout.ts";
import type { RemovalListeners } from "../storage/shared/removal_history.ts";

type TierSettings = Pick<Config, "l2" | "l2TimeoutMs">;

interface Listeners {
  readonly publish: Publish<EventMap>;
  readonly clock: Clock;
  readonly onTierRemoved: RemovalListeners["tier"];
  /** Names this server to other servers. */
  readonly serverId: string;
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

/** Milliseconds until the tiers are read for damage, so that the start of the server has the disk for itself. */
const SCRUB_DELAY_MS = 10_000;

/** Options of a ThreadScrubber. */
export interface ThreadScrubberOptions {
  readonly config: Pick<Config, "scrubBytesPerSecond">;
  readonly publish: Publish<EventMap>;
  readonly clock: Clock;
  readonly onTierRemoved: RemovalListeners["tier"];
}

/** The scrubber of the tiers whose bytes a thread owns. It hears of their removals before it starts. */
export class ThreadScrubber {
  readonly #options: ThreadScrubberOptions;
  #scrubber: Scrubber | undefined;

  constructor(options: ThreadScrubberOptions) {
    this.#options = options;
  }

  /** The removal listener for the tiers: as in the options, and damage is told to the scrubber. */
  readonly onTierRemoved: RemovalListeners["tier"] = (tier, key, reason) => {
    this.#options.onTierRemoved(tier, key, reason);
    if (reason === "corrupt") this.#scrubber?.damaged(tier, key);
  };

  /** `tiers`: by their index; undefined for those of another thread. */
  start(tiers: readonly (L2Adapter | undefined)[]): void {
    const { config, publish, clock } = this.#options;
    this.#scrubber = new Scrubber(tiers, {
      publish,
      bytesPerSecond: config.scrubBytesPerSecond,
      delayMs: SCRUB_DELAY_MS,
      nowMs: () => clock.monotonicMs(),
      wait: (ms) => delay(ms, undefined, { ref: false }),
    });
    this.#scrubber.start();
  }

  /** Resolves when nothing is read any more. */
  async stop(): Promise<void> {
    await this.#scrubber?.stop();
  }
}
