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
  /** The storage thread was started again and is reached here. */
  | { readonly kind: "storage"; readonly lines: StorageLines }
  /** Other tokens count from now on. */
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
   * Where the worker itself stores: objects that waited when it was told to stop, and are stored; objects that no tier
   * took.
   */
  readonly stored: number;
  readonly refused: number;
  /** Requests that it broke off. */
  readonly cutRequests: number;
  /** The cause in one line, if it could not end something. */
  readonly failure?: string;
}

/** The report of a worker that serves: the names of its tiers. */
export interface Ready {
  readonly kind: "ready";
  readonly tiers: readonly string[];
}

/**
 * The reason why a worker is gone: it threw what nobody caught; it ended by itself; its heartbeat stood still; it was
 * ended as a drill; it ended before it was ready; it was told to stop.
 */
export type Cause = EventMap["worker.gone"]["cause"];

/** Everything a worker is given when its thread starts. */
export interface WorkerData {
  readonly config: Config;
  readonly version: string;
  /** The standard OTEL_* variables. */
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly seat: Seat;
  /** Main's clock as the thread is started. */
  readonly clock: ClockReading;
  /** The port all workers share. */
  readonly port: number;
  readonly arena: ArenaMemory;
  readonly sharedKeys: SharedKeysMemory;
  /** The lines to the storage thread, if there is one. */
  readonly storageLines: StorageLines | undefined;
  readonly board: SharedArrayBuffer;
  /** The tokens, and who has failed in any thread. */
  readonly access: ReturnType<OpenAccess["shared"]>;
  /** Its part of the event bus. */
  readonly events: ProducerSeat;
  /** Where it reports on its tiers, if it is to. */
  readonly reports: SharedArrayBuffer | undefined;
  /** Where it has live events, /metrics and /status from. */
  readonly relay: RelayTarget;
}

/** The worker's name on the bus: unique, since holder numbers are. */
export function producerOf({ place, holder }: Seat): string {
  return `${place}.${holder}`;
}

/** A worker's place in the cluster, and which thread fills it: a new one after each death. */
export interface Seat {
  /** 0 and up. */
  readonly place: number;
  /** Unique among all threads of the process, main's being 1: their holder number in L1. */
  readonly holder: number;
}
