import type { MessagePort } from "node:worker_threads";
import type { ClockReading } from "../../core/clock.ts";
import type { Config } from "../../config.ts";
import type { SharedKeysMemory } from "../../storage/shared/memory.ts";

/** What the storage thread is given when it starts. */
export interface StorageThreadData {
  readonly config: Config;
  /** Main's clock, so that all threads agree. */
  readonly clock: ClockReading;
  readonly sharedKeys: SharedKeysMemory;
  /** Where the thread shows that its event loop turns. */
  readonly board: SharedArrayBuffer;
  /** The bus: which channels, and this producer's counters. */
  readonly channelName: string;
  readonly producer: string;
  readonly countersRow: SharedArrayBuffer;
}

/** What main posts to the storage thread. */
export type ToStorageThread =
  | { readonly kind: "connect"; readonly holder: number; readonly port: MessagePort }
  | { readonly kind: "disconnect"; readonly holder: number }
  | { readonly kind: "stop" };

/** What the storage thread posts to main. */
export type FromStorageThread =
  | { readonly kind: "ready" }
  | { readonly kind: "failed"; readonly message: string }
  | { readonly kind: "stopped" };
