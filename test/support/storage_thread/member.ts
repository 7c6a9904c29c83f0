import { systemClock } from "../../../src/core/clock.ts";
import type { EventName } from "../../../src/events/catalogue.ts";
import type { ArenaMemory } from "../../../src/l1/arena/arena.ts";
import { L1Manager } from "../../../src/l1/l1_manager.ts";
import type { MessagePort } from "node:worker_threads";
import { FileAdapter } from "../../../src/l2/file.ts";
import type { FromOwner, ToOwner } from "../../../src/l2/file/remote/messages.ts";
import { OwnerLine } from "../../../src/l2/file/remote/remote_store.ts";
import { portOf } from "../../../src/runtime/thread.ts";
import type { SharedKeysMemory } from "../../../src/storage/shared/memory.ts";
import { type Seat, SharedKeys } from "../../../src/storage/shared/shared_keys.ts";
import { StorageManager } from "../../../src/storage/storage_manager.ts";
import { stall, type Stalls } from "./stall.ts";

/** What all threads of a test share, and where they keep files. Can be posted. */
export interface Common {
  readonly arena: ArenaMemory;
  readonly keys: SharedKeysMemory;
  readonly folder: string;
  /** One word: a clock that moves at each look, the same for all threads. */
  readonly clock: SharedArrayBuffer;
}

/** One thread's storage manager over it. */
export interface Member {
  readonly l1: L1Manager;
  readonly storage: StorageManager;
  /** The next moment of the common clock. */
  readonly tick: () => number;
  /** How often an event was published here. */
  readonly count: (name: EventName) => number;
}

/** Opens a member that reaches the folder's owner through `owner`; holder 1 formats the arena. */
export function openMember(
  common: Common,
  { seat, owner, stalls }: { readonly seat: Seat; readonly owner: MessagePort; readonly stalls?: Stalls },
): Member {
  const counts = new Map<EventName, number>();
  const publish = (name: EventName): void => void counts.set(name, (counts.get(name) ?? 0) + 1);
  const clock = systemClock;
  const l1 = new L1Manager(common.arena, {
    holder: seat.holder,
    clock,
    publish,
    policy: "s3-fifo",
    admissionLimitBytes: common.arena.options.sizeBytes / 2,
    readLeaseMs: 10_000,
    writeLeaseMs: 10_000,
    highWatermark: 0.9,
    lowWatermark: 0.5,
    format: seat.holder === 1,
  });
  const line = new OwnerLine();
  line.connect(portOf<ToOwner, FromOwner>(owner));
  const store = line.store(0, (segment) => file.forgetSegment(segment));
  const file = new FileAdapter({ name: "fs", path: common.folder, limitBytes: 0, sync: false, store });
  const storage = new StorageManager({
    l1,
    tiers: [stalls === undefined ? file : stall(file, stalls)],
    publish,
    clock,
    write: "back",
    maxObjectBytes: 1e9,
    leaseMs: 10_000,
    storeQueue: { maxEntries: 64, maxBytes: 1e8 },
    storeConcurrency: 4,
    shared: new SharedKeys(common.keys, seat),
  });
  const words = new Int32Array(common.clock);
  return { l1, storage, tick: () => Atomics.add(words, 0, 1), count: (name) => counts.get(name) ?? 0 };
}
