import type { MessagePort } from "node:worker_threads";
import type { ClockReading } from "../../core/clock.ts";
import type { Config } from "../../config.ts";
import type { ArenaMemory } from "../../l1/arena/arena.ts";
import type { SharedKeysMemory } from "../../storage/shared/memory.ts";
import type { ProducerSeat } from "../../events/producer.ts";

/** The start data of the storage thread. */
export interface StorageThreadData {
  readonly config: Config;
  /** A reading of main's clock, so that all threads agree on the time. */
  readonly clock: ClockReading;
  readonly arena: ArenaMemory;
  readonly sharedKeys: SharedKeysMemory;
  /** The thread's owner number in L1 and in the shared keys. */
  readonly holder: number;
  /** The memory of the Board, which has the thread's heartbeat. */
  readonly board: SharedArrayBuffer;
  /** The thread's access to the event bus. */
  readonly events: ProducerSeat;
  /** Shared memory for the thread's reports on the tiers. */
  readonly reports: SharedArrayBuffer;
}

/** One side of a worker's two channels to the storage thread. */
export interface StorageLines {
  /** Calls to the owner of the folders. */
  readonly folders: MessagePort;
  /** Changes of the tiers. */
  readonly changes: MessagePort;
}

/** A message from main to the storage thread. */
export type ToStorageThread =
  | { readonly kind: "connect"; readonly holder: number; readonly lines: StorageLines }
  | { readonly kind: "disconnect"; readonly holder: number }
  /** A stop has begun: `stopped` counts the objects from now on. */
  | { readonly kind: "stopSoon" }
  | { readonly kind: "stop" };

/** A message from the storage thread to main. */
export type FromStorageThread =
  | { readonly kind: "ready" }
  | { readonly kind: "failed"; readonly message: string }
  /** Objects since the stop began: `stored` in a tier, or `refused` by every tier. */
  | { readonly kind: "stopped"; readonly stored: number; readonly refused: number };
