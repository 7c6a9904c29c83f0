import type { TokenEntry } from "../../access/token_entry.ts";
import type { EventMap } from "../../events/catalogue.ts";
import type { StorageLines } from "../storage_thread/messages.ts";
import type { ClockReading } from "../../core/clock.ts";
import type { Config } from "../../config.ts";
import type { ArenaMemory } from "../../l1/arena/arena.ts";
import type { SharedKeysMemory } from "../../storage/shared/memory.ts";
import type { OpenAccess } from "../access.ts";
import type { RelayTarget } from "./relay.ts";
import type { ProducerSeat } from "../../events/producer.ts";
/** A message from main to a worker. */
export type ToWorker =
  | { readonly kind: "stop" }
  /** The storage thread was restarted; these lines lead to it. */
  | { readonly kind: "storage"; readonly lines: StorageLines }
  /** The tokens changed. */
  | { readonly kind: "tokens"; readonly tokens: readonly TokenEntry[] };

/** A message from a worker to main. */
export type FromWorker =
  | Ready
  | { readonly kind: "failed"; readonly message: string }
  | Stopped;

/** The report of a worker that has stopped. */
export interface Stopped {
  readonly kind: "stopped";
  /**
   * If the worker itself stores: dirty objects that it has stored since the stop began, and objects that no tier took.
   */
  readonly stored: number;
  readonly refused: number;
  /** Requests that it aborted. */
  readonly cutRequests: number;
  /** The cause in one line, if something could not be finished. */
  readonly failure?: string;
}

/** The report of a worker that is ready: the names of its tiers. */
export interface Ready {
  readonly kind: "ready";
  readonly tiers: readonly string[];
}

/**
 * The cause of a worker's end: an uncaught exception; it exited by itself; its heartbeat stopped; a drill; it ended
 * before it was ready; it was told to stop.
 */
export type Cause = EventMap["worker.gone"]["cause"];

/** The start data of a worker. */
export interface WorkerData {
  readonly config: Config;
  readonly version: string;
  /** The standard OTEL_* variables. */
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly seat: Seat;
  /** A reading of main's clock, so that all threads agree. */
  readonly clock: ClockReading;
  /** The port that all workers share. */
  readonly port: number;
  readonly arena: ArenaMemory;
  readonly sharedKeys: SharedKeysMemory;
  /** The lines to the storage thread, if there is one. */
  readonly storageLines: StorageLines | undefined;
  readonly board: SharedArrayBuffer;
  /** The tokens, and the failed attempts of all threads. */
  readonly access: ReturnType<OpenAccess["shared"]>;
  /** Its part of the event bus. */
  readonly events: ProducerSeat;
  /** Memory for its reports on its tiers, if it has to report. */
  readonly reports: SharedArrayBuffer | undefined;
  /** The source of live events, /metrics and /status. */
  readonly relay: RelayTarget;
}

/** The worker's name on the bus: unique, since holder numbers are. */
export function producerOf({ place, holder }: Seat): string {
  return `${place}.${holder}`;
}

/** A worker's place in the cluster, and the thread that fills it: a new one after each death. */
export interface Seat {
  /** From 0. */
  readonly place: number;
  /** The thread's holder number in L1: unique in the process, never reused; main is 1. */
  readonly holder: number;
}
