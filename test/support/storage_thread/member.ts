import { systemClock } from "../../../src/core/clock.ts";
import type { EventName } from "../../../src/events/catalogue.ts";
import type { ArenaMemory } from "../../../src/l1/arena/arena.ts";
import { L1Manager } from "../../../src/l1/l1_manager.ts";
import { FileReader } from "../../../src/l2/file/file_reader.ts";
import { type FromOwner, OwnerLine, type ToOwner } from "../../../src/l2/file/folder_line.ts";
import type { StorageLines } from "../../../src/compose/storage_thread/messages.ts";
import { every } from "../../../src/core/timers.ts";
import { portOf } from "../../../src/runtime/thread.ts";
import type { FromOwner as FromTierOwner, ToOwner as ToTierOwner } from "../../../src/storage/changes/messages.ts";
import { RemoteChanges } from "../../../src/storage/changes/remote_changes.ts";
import type { SharedKeysMemory } from "../../../src/storage/shared/memory.ts";
import { SharedKeys } from "../../../src/storage/shared/shared_keys.ts";
import { StorageManager } from "../../../src/storage/storage_manager.ts";
import { stallLoads, type Stalls } from "./stall.ts";

/** What all threads of a test share, and where they keep files. Can be posted. */
export interface Common {
  readonly arena: ArenaMemory;
  readonly keys: SharedKeysMemory;
  readonly folder: string;
  /** One word: a clock that moves at each look, the same for all threads. */
  readonly clock: SharedArrayBuffer;
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
  { holder, lines, stalls }: { readonly holder: number; readonly lines: StorageLines; readonly stalls?: Stalls },
): Member {
  const counts = new Map<EventName, number>();
  const publish = (name: EventName): void => void counts.set(name, (counts.get(name) ?? 0) + 1);
  const clock = systemClock;
  const l1 = openCommonL1(common, { holder, publish });
  const line = new OwnerLine();
  line.connect(portOf<ToOwner, FromOwner>(lines.folders));
  const shared = new SharedKeys(common.keys, holder);
  const changes = new RemoteChanges({ l1, shared, clock, publish, timeoutMs: 0, every });
  changes.connect(portOf<readonly ToTierOwner[], readonly FromTierOwner[]>(lines.changes));
  const folder = line.reader(0, (segment) => file.forgetSegment(segment));
  const file = new FileReader({ name: "fs", path: common.folder, sync: false, folder });
  const storage = new StorageManager({
    l1,
    tiers: [stalls === undefined ? file : stallLoads(file, stalls)],
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

/** One thread's view of the common L1; holder 1 makes its tables. */
export function openCommonL1(
  { arena }: Pick<Common, "arena">,
  { holder, publish }: { readonly holder: number; readonly publish: (name: EventName) => void },
): L1Manager {
  return new L1Manager(arena, {
    holder,
    clock: systemClock,
    publish,
    policy: "s3-fifo",
    admissionLimitBytes: arena.options.sizeBytes / 2,
    readLeaseMs: 10_000,
    writeLeaseMs: 10_000,
    highWatermark: 0.9,
    lowWatermark: 0.5,
    format: holder === 1,
  });
}
