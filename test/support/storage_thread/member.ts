import { every, systemClock } from "../../../src/core/clock.ts";
import type { EventName } from "../../../src/events/catalogue.ts";
import type { ArenaMemory } from "../../../src/l1/arena/arena.ts";
import { L1Manager } from "../../../src/l1/l1_manager.ts";
import { FileReader } from "../../../src/l2/file/adapter.ts";
import { OwnerLine } from "../../../src/l2/file/line/folder_line.ts";
import type { FromOwner, ToOwner } from "../../../src/l2/file/line/messages.ts";
import type { MessagePort } from "node:worker_threads";
import { portOf } from "../../../src/runtime/thread.ts";
import type { FromTierOwner, ToTierOwner } from "../../../src/storage/changes/tier_changes.ts";
import { RemoteChanges } from "../../../src/storage/changes/remote_changes.ts";
import type { SharedKeysMemory } from "../../../src/storage/shared/memory.ts";
import { SharedKeys } from "../../../src/storage/shared/shared_keys.ts";
import { StorageManager } from "../../../src/storage/storage_manager.ts";
import { stallLoads, type Stalls } from "./stall.ts";

/** What all threads of a test share, and where they keep files. Can be posted. */
export interface Common {
  readonly arena: ArenaMemory;
  readonly keys: SharedKeysMemory;
  /** One for each tier. */
  readonly folders: readonly string[];
  /** One word: a clock that moves at each look, the same for all threads. */
  readonly clock: SharedArrayBuffer;
}

/** A thread's ends of its lines to the owner of folder and tier. */
export interface CrewLines {
  /** One for each folder. */
  readonly folders: readonly MessagePort[];
  readonly changes: MessagePort;
}

/** The bounds on what is dirty. */
export const STORE_QUEUE = { maxEntries: 64, maxBytes: 1e8 };

/** One thread's storage manager over it. */
export interface Member {
  readonly l1: L1Manager;
  readonly storage: StorageManager;
  readonly changes: RemoteChanges;
  /** The next moment of the common clock. */
  readonly tick: () => number;
  /** How often an event was published here. */
  readonly count: (name: EventName) => number;
}

/** Opens a member that reaches the owner of folder and tier through `lines`. */
export function openMember(
  common: Common,
  { workerId, lines, stalls }: { readonly workerId: number; readonly lines: CrewLines; readonly stalls?: Stalls },
): Member {
  const counts = new Map<EventName, number>();
  const publish = (name: EventName): void => void counts.set(name, (counts.get(name) ?? 0) + 1);
  const clock = systemClock;
  const l1 = openCommonL1(common, { workerId, publish });
  const shared = new SharedKeys(common.keys, workerId);
  const changes = new RemoteChanges({ l1, shared, clock, publish, timeoutMs: 0, every });
  changes.connect(portOf<readonly ToTierOwner[], readonly FromTierOwner[]>(lines.changes));
  const tiers = common.folders.map((path, tier) => {
    const line = new OwnerLine();
    for (const port of lines.folders.slice(tier, tier + 1)) line.connect(portOf<ToOwner, FromOwner>(port));
    const folder = line.reader(0, (segment) => file.forgetSegment(segment));
    const file = new FileReader({ name: "fs", path, sync: false, folder });
    return stalls === undefined ? file : stallLoads(file, stalls);
  });
  const storage = new StorageManager({
    l1,
    tiers,
    publish,
    clock,
    write: "back",
    maxObjectBytes: 1e9,
    leaseMs: 10_000,
    storeQueue: STORE_QUEUE,
    storeConcurrency: 4,
    shared,
    changes,
  });
  const words = new Int32Array(common.clock);
  return { l1, storage, changes, tick: () => Atomics.add(words, 0, 1), count: (name) => counts.get(name) ?? 0 };
}

/** One thread's view of the common L1; workerId 1 makes its tables. */
export function openCommonL1(
  { arena }: Pick<Common, "arena">,
  { workerId, publish }: { readonly workerId: number; readonly publish: (name: EventName) => void },
): L1Manager {
  return new L1Manager(arena, {
    workerId,
    clock: systemClock,
    publish,
    policy: "s3-fifo",
    admissionLimitBytes: arena.options.sizeBytes / 2,
    readLeaseMs: 10_000,
    writeLeaseMs: 10_000,
    highWatermark: 0.9,
    lowWatermark: 0.5,
    format: workerId === 1,
  });
}
