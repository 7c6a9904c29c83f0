import type { MessagePort } from "node:worker_threads";
import type { ClockReading } from "../../core/clock.ts";
import type { Config } from "../../config.ts";
import type { SharedKeysMemory } from "../../storage/shared/memory.ts";

/** The start data of the storage thread. */
export interface StorageThreadData {
  readonly config: Config;
  /** Main's clock, so that all threads agree. */
  readonly clock: ClockReading;
  readonly sharedKeys: SharedKeysMemory;
  /** The memory of the thread's heartbeat. */
  readonly board: SharedArrayBuffer;
  /** The bus: which channels, and this producer's counters. */
  readonly channelName: string;
  readonly producer: string;
  readonly countersRow: SharedArrayBuffer;
}

/** A message from main to the storage thread. */
export type ToStorageThread =
  | { readonly kind: "connect"; readonly holder: number; readonly port: MessagePort }
  | { readonly kind: "disconnect"; readonly holder: number }
  | { readonly kind: "stop" };

/** A message from the storage thread to main. */
export type FromStorageThread =
  | { readonly kind: "ready" }
  | { readonly kind: "failed"; readonly message: string }
  | { readonly kind: "stopped" };
