import type { BusStats } from "../../events/bus.ts";
import type { Every } from "../../core/timers.ts";
import type { Observability } from "../../telemetry/mod.ts";
import type { StorageStatus } from "../../storage/storage.ts";
import type { L1Usage } from "../../l1/l1.ts";

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

/** The sources of metrics that no event feeds. */
export interface Sources {
  readonly l1: Pick<
    L1Usage,
    "objects" | "usedBytes" | "capacityBytes" | "stagingBytes" | "oldestAgeSeconds" | "repairs"
  >;
  /** A tier that could not answer has no numbers. */
  readonly storage: Pick<StorageStatus, "l2" | "storeQueue">;
  readonly activeRequests: number;
  /** One for each worker; a single isolate has none. */
  readonly workers: readonly WorkerState[];
  /** Time for which the storage thread's event loop has been blocked; 0 if it is not, or if there is none. */
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
  readonly bus: BusStats;
  readonly exports: ReturnType<Observability["exports"]>;
  /** By subscriber, start events that wait for their end event, and those that were dropped. */
  readonly correlations: ReadonlyMap<string, { readonly pending: number; readonly dropped: number }>;
  readonly logLines: { readonly written: number; readonly suppressed: number; readonly lost: number };
}

/** Reads each source. A source is read once in a collection, and one that hangs costs only its own metrics. */
export type Readers = { readonly [Key in keyof Sources]: () => Sources[Key] | Promise<Sources[Key]> };

/** The sources about the state of the server. */
export type StateSource = Pick<
  Readers,
  "l1" | "storage" | "activeRequests" | "workers" | "storageThreadStuckSeconds"
>;

/** The sources about logs, traces and their export. */
export type TelemetryNumbers = Pick<Readers, "exports" | "correlations" | "logLines">;
