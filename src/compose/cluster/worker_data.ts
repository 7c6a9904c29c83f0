import type { ClockReading } from "../../core/clock.ts";
import type { Config } from "../../config.ts";
import type { ArenaMemory } from "../../l1/arena/arena.ts";
import type { SharedKeysMemory } from "../../storage/shared/memory.ts";
import type { StorageLines } from "../storage_thread/messages.ts";
import type { OpenAccess } from "../open_access.ts";
import type { RelayTarget } from "./relay.ts";
import type { ProducerSeat } from "../../events/thread_producer.ts";
import type { Seat } from "./seat.ts";

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
