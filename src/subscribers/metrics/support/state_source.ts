/** How full L1 is; storage's L1Usage fits. */
export interface L1State {
  readonly objects: number;
  readonly usedBytes: number;
  readonly capacityBytes: number;
  readonly stagingBytes: number;
  /** Since the object that has been there longest was admitted; 0 if there is none. */
  readonly oldestAgeSeconds?: number;
  /** How often its tables were repaired. */
  readonly repairs: number;
}

/** What a worker is doing. */
export type WorkerState = "starting" | "ready" | "stopping" | "gone" | "stuck";

/**
 * How full the tiers and the store queue are; storage's StorageStatus fits. A tier that could not answer has no
 * numbers.
 */
export interface StorageState {
  readonly l2: readonly {
    readonly tier: string;
    readonly objects?: number;
    readonly usedBytes?: number;
    readonly limitBytes?: number;
    readonly oldestAgeSeconds?: number;
  }[];
  readonly storeQueue: { readonly entries: number; readonly bytes: number; readonly oldestAgeSeconds: number };
}

/**
 * Where the gauges look when the metrics are collected. L1 apart from the rest, so that a tier that hangs does not take
 * L1's numbers along.
 */
export interface StateSource {
  l1(): L1State;
  storage(): Promise<StorageState>;
  activeRequests(): number;
  /** One for each worker; a single isolate has none. */
  workers(): readonly WorkerState[];
  /** The time that the storage thread's event loop has stood still; 0 while it turns, or if there is none. */
  storageThreadStuckSeconds(): number;
}
