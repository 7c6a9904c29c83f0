import type { MessagePort } from "node:worker_threads";
import type { ClockReading } from "../../core/clock.ts";
import type { Config } from "../../config.ts";
import type { ArenaMemory } from "../../l1/arena/arena.ts";
import type { SharedKeysMemory } from "../../storage/shared/memory.ts";
import type { ProducerSeat } from "../../events/producer.ts";

/** The start data of the storage thread. */
export interface StorageThreadData {
  readonly config: Config;
  /** Main's clock, so that all threads agree. */
  readonly clock: ClockReading;
  readonly arena: ArenaMemory;
  readonly sharedKeys: SharedKeysMemory;
  /** The thread's number in L1. */
  readonly holder: number;
  /** The memory of the thread's heartbeat. */
  readonly board: SharedArrayBuffer;
  /** Its part of the event bus. */
  readonly events: ProducerSeat;
  /** Where it reports on the tiers. */
  readonly reports: SharedArrayBuffer;
}

/** A worker's lines to the storage thread, of which each side has one end. */
export interface StorageLines {
  /** For calls of the folders' owner. */
  readonly folders: MessagePort;
  /** For changes of the tiers. */
  readonly changes: MessagePort;
}

/** A message from main to the storage thread. */
export type ToStorageThread =
  | { readonly kind: "connect"; readonly holder: number; readonly lines: StorageLines }
  | { readonly kind: "disconnect"; readonly holder: number }
  /** A stop has begun: what is stored from now on is told when it ends. */
  | { readonly kind: "stopSoon" }
  | { readonly kind: "stop" };

/** A message from the storage thread to main. */
export type FromStorageThread =
  | { readonly kind: "ready" }
  | { readonly kind: "failed"; readonly message: string }
  /** Objects stored since the stop began; objects that no tier took. */
  | { readonly kind: "stopped"; readonly stored: number; readonly refused: number };
