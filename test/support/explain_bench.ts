import type { MissReason, Publish } from "../../src/core/events.ts";
import type { EventMap } from "../../src/events/catalogue.ts";
import { allocateArena, type ArenaMemory } from "../../src/l1/arena/arena.ts";
import { L1Manager } from "../../src/l1/l1_manager.ts";
import type { TierRemovalListener } from "../../src/l2/adapter.ts";
import { EncodingAdapter } from "../../src/l2/encoding/adapter.ts";
import { MemoryAdapter } from "../../src/l2/memory.ts";
import { removalListeners } from "../../src/storage/shared/removal_history.ts";
import { allocateSharedKeys, type SharedKeysMemory } from "../../src/storage/shared/memory.ts";
import { SharedKeys } from "../../src/storage/shared/shared_keys.ts";
import { StorageManager } from "../../src/storage/storage_manager.ts";
import { FaultAdapter } from "../l2/fault.ts";
import { LEASE_MS, ManualTime } from "./storage_bench.ts";

/** What managers share that explain each other's losses. */
export interface ExplainParts {
  readonly time: ManualTime;
  readonly arena: ArenaMemory;
  readonly keys: SharedKeysMemory;
}

/** A storage manager over real adapters, which tell the removal history of what leaves. */
export interface ExplainBench {
  readonly storage: StorageManager;
  readonly l1: L1Manager;
  readonly tiers: readonly FaultAdapter[];
  readonly time: ManualTime;
  /** Every lookup.finished as "result reason". */
  readonly lookups: readonly string[];
}

/** 64 KiB of L1 and room for so many losses. */
export function explainParts(losses: number = 1024): ExplainParts {
  return {
    time: new ManualTime(),
    arena: allocateArena({ sizeBytes: 65_536, maxObjects: 64, maxLeases: 64, hashSeed: 7 }),
    keys: allocateSharedKeys({ hashSeed: 7, stripes: 1024, losses, storedKeysBytes: 4096 }),
  };
}

/** `tierBytes`: the limits of the tiers, 0 for none. The first manager over parts has workerId 1. */
export function explainBench(
  { tierBytes = [0], missOnError = [], missReason, parts = explainParts(), workerId = 1 }: {
    readonly tierBytes?: readonly number[];
    /** By tier, true if it has on_error=miss. */
    readonly missOnError?: readonly boolean[];
    /** The reason that the tiers, which others share, give for their misses. */
    readonly missReason?: () => MissReason | undefined;
    readonly parts?: ExplainParts;
    readonly workerId?: number;
  } = {},
): ExplainBench {
  const { time, arena, keys } = parts;
  const shared = new SharedKeys(keys, workerId);
  const losses = removalListeners(shared.history, time);
  const lookups: string[] = [];
  const publish: Publish<EventMap> = (name, fields) => {
    const { result, reason } = Object.assign({ result: "", reason: "" }, fields);
    if (name === "lookup.finished") lookups.push(`${result} ${reason}`);
  };
  const l1 = new L1Manager(arena, {
    workerId,
    clock: time,
    publish,
    onRemoved: losses.l1,
    policy: "lru",
    admissionLimitBytes: 8192,
    readLeaseMs: LEASE_MS,
    writeLeaseMs: LEASE_MS,
    highWatermark: 0.5,
    lowWatermark: 0,
    format: workerId === 1,
  });
  const tiers = tierBytes.map((limitBytes, index) => {
    const onRemoved: TierRemovalListener = (key, reason) => losses.tier(index, key, reason);
    const memory = new MemoryAdapter({ name: `t${index + 1}`, limitBytes, publish, clock: time, onRemoved });
    const tier = new FaultAdapter(memory);
    return missReason === undefined ? tier : Object.assign(tier, { isShared: true, missReason });
  });
  const storage = new StorageManager({
    l1,
    tiers: tiers.map((tier, index) =>
      new EncodingAdapter(tier, { compresses: false }, { missesOnError: missOnError[index] ?? false })
    ),
    publish,
    clock: time,
    timers: time,
    shared,
    write: "back",
    maxObjectBytes: 1_000_000,
    leaseMs: LEASE_MS,
    storeQueue: { maxEntries: 16, maxBytes: 65_536 },
    storeConcurrency: 2,
  });
  return { storage, l1, tiers, time, lookups };
}
