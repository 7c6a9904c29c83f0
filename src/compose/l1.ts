import type { Config } from "../config.ts";
import type { Clock } from "../core/clock.ts";
import { causeText } from "../core/errors.ts";
import type { Publish } from "../core/events.ts";
import { formatSize } from "../core/size.ts";
import type { EventMap } from "../events/catalogue.ts";
import { allocateArena, type ArenaMemory } from "../l1/arena/arena.ts";
import type { L1RemovalListener } from "../l1/l1.ts";
import { L1Manager } from "../l1/l1_manager.ts";

/** Interval of L1's maintenance: expired leases and objects, and the watermark. */
export const TICK_MS = 200;

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

/** Opens a thread's view of L1. Worker id 1, which is main, formats the tables. */
export function openL1(
  memory: ArenaMemory,
  { config, ...options }: {
    readonly config: Config;
    readonly workerId: number;
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
    format: options.workerId === 1,
  });
}
