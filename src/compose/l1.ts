import { join } from "node:path";
import type { Config } from "../config.ts";
import type { Clock } from "../core/clock.ts";
import { causeText, VitrineError } from "../core/errors.ts";
import type { Publish } from "../core/events.ts";
import { formatSize } from "../core/size.ts";
import type { EventMap } from "../events/catalogue.ts";
import { allocateArena, type ArenaMemory } from "../l1/arena/arena.ts";
import type { L1RemovalListener } from "../l1/l1.ts";
import { L1Manager } from "../l1/l1_manager.ts";
import { firstFolder } from "../l2/mod.ts";
import { QuotaFile } from "../storage/quota_file.ts";

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

/** The file in which quotas are kept; undefined: they are gone after a restart. */
export function quotaFileOf({ quotasFile, l2 }: Pick<Config, "quotasFile" | "l2">): QuotaFile | undefined {
  const folder = firstFolder(l2);
  const path = quotasFile === "auto" ? folder && join(folder, "quotas.json") : quotasFile;
  return path === undefined ? undefined : new QuotaFile(path);
}

/** Puts the quotas in effect that were kept; before other threads use L1. Throws bad_request if they cannot be used. */
export async function loadQuotas(config: Config, l1: L1Manager): Promise<void> {
  const file = quotaFileOf(config);
  for (const { tenant, ...quota } of await file?.load() ?? []) {
    if (!l1.setQuota(tenant, quota)) throw new VitrineError("bad_request", `read quotas from ${file?.path}: too many`);
  }
}
