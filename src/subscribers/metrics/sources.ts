import type { EventCounts } from "../../events/dispatcher.ts";
import type { Every } from "../../core/timers.ts";
import type { Observability } from "../../telemetry/mod.ts";

/** The occupancy of L1; storage's L1Usage fits. */
export interface L1State {
  readonly objects: number;
  readonly usedBytes: number;
  readonly capacityBytes: number;
  readonly stagingBytes: number;
  /** Since the object that has been there longest was admitted; 0 if there is none. */
  readonly oldestAgeSeconds?: number;
  /** The number of repairs of its tables. */
  readonly repairs: number;
}

/**
 * The occupancy of the tiers and the store queue; storage's StorageStatus fits. A tier that could not answer has no
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

/** The state of a worker. */
export type WorkerState = "starting" | "ready" | "stopping" | "gone" | "stuck";

/** The program that runs. */
export interface Build {
  readonly version: string;
  /** E.g. "bun 1.4.5". */
  readonly runtime: string;
  /** When the server started, in milliseconds since the epoch. */
  readonly startMs: number;
}

/** The source of the process's numbers. */
export interface ProcessSource {
  /** Microseconds of processor time since the process began. */
  cpuUsage(): { readonly user: number; readonly system: number };
  /** Bytes. */
  residentBytes(): number;
  /** Milliseconds, never stepping back. */
  nowMs(): number;
  readonly every: Every;
}

/** The bus's numbers about itself; EventBus.stats gives them. */
export interface BusNumbers {
  readonly depth: number;
  readonly lagSeconds: number;
  readonly events: ReadonlyMap<string, EventCounts>;
  readonly subscriberExceptions: ReadonlyMap<string, number>;
}

/** The sources of metrics that no event feeds. */
export interface Sources {
  readonly l1: L1State;
  readonly storage: StorageState;
  readonly activeRequests: number;
  /** One for each worker; a single isolate has none. */
  readonly workers: readonly WorkerState[];
  /** The time that the storage thread's event loop has stood still; 0 while it turns, or if there is none. */
  readonly storageThreadStuckSeconds: number;
  readonly build: Build;
  /** Names of the L2 adapters, in the order they are asked. */
  readonly adapters: readonly string[];
  readonly process: {
    /** Seconds of processor time by mode. */
    readonly cpuSeconds: { readonly user: number; readonly system: number };
    readonly residentBytes: number;
    readonly uptimeSeconds: number;
  };
  readonly bus: BusNumbers;
  readonly exports: ReturnType<Observability["exports"]>;
  /** By subscriber: what has begun and not ended, and what was given up. */
  readonly correlations: ReadonlyMap<string, { readonly pending: number; readonly dropped: number }>;
  readonly logLines: { readonly written: number; readonly suppressed: number; readonly lost: number };
}

/** Reads each source. A source is read once in a collection, and one that hangs costs only its own metrics. */
export type Readers = { readonly [Key in keyof Sources]: () => Sources[Key] | Promise<Sources[Key]> };

/** The sources that tell the state of the server. */
export type StateSource = Pick<
  Readers,
  "l1" | "storage" | "activeRequests" | "workers" | "storageThreadStuckSeconds"
>;

/** The sources that tell of logs, traces and their export. */
export type TelemetryNumbers = Pick<Readers, "exports" | "correlations" | "logLines">;
