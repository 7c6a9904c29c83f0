import type { MessagePort } from "node:worker_threads";
import type { TokenEntry } from "../../access/tokens.ts";
import type { Config } from "../../config.ts";
import type { ClockReading } from "../../core/clock.ts";
import type { EventMap } from "../../events/catalogue.ts";
import type { ProducerSeat } from "../../events/producer.ts";
import type { ArenaMemory } from "../../l1/arena/arena.ts";
import type { Certificate } from "../../runtime/runtime.ts";
import { openChannel } from "../../runtime/thread.ts";
import type { SharedKeysMemory } from "../../storage/shared/memory.ts";
import type { OpenAccess } from "../access.ts";
import type { RelayTarget } from "./relay.ts";

/** A message from main to a worker. */
export type ToWorker =
  | { readonly kind: "stop" }
  /** The storage thread or the file thread was restarted; these lines lead to it. */
  | { readonly kind: "lines"; readonly lines: ThreadLines }
  /** The tokens changed. */
  | { readonly kind: "tokens"; readonly tokens: readonly TokenEntry[] }
  /** The certificate was renewed. */
  | { readonly kind: "certificate"; readonly certificate: Certificate };

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
  readonly worker: WorkerRef;
  /** A reading of main's clock, so that all threads agree. */
  readonly clock: ClockReading;
  /** The port that all workers share. */
  readonly port: number;
  readonly arena: ArenaMemory;
  readonly sharedKeys: SharedKeysMemory;
  /** The lines to the storage thread and to the file thread, as far as there are such. */
  readonly lines: ThreadLines;
  readonly board: SharedArrayBuffer;
  /** The certificate with which it serves HTTPS; undefined: HTTP. */
  readonly certificate: Certificate | undefined;
  /** The tokens, and the failed attempts of all threads. */
  readonly access: ReturnType<OpenAccess["shared"]>;
  /** Its part of the event bus. */
  readonly events: ProducerSeat;
  /** Memory for its reports on its tiers, if it has to report. */
  readonly reports: SharedArrayBuffer | undefined;
  /** The source of live events, /metrics and /status. */
  readonly relay: RelayTarget;
}

/** The worker's name on the bus: unique, since worker ids are. */
export function producerOf({ slot, workerId }: WorkerRef): string {
  return `${slot}.${workerId}`;
}

/** A worker: the slot that it fills, which outlives it, and its own number. */
export interface WorkerRef {
  /** From 0. */
  readonly slot: number;
  /** Unique in the process and never reused; main is 1. It is also the thread's worker id in L1. */
  readonly workerId: number;
}

/**
 * `storage`: the thread that owns the tiers. `file`: the owner of the folders, if that is not the storage thread.
 */
export type TierThreadName = "storage" | "file";

/** The start data of both threads. */
interface TierThreadData {
  readonly config: Config;
  /** A reading of main's clock, so that all threads agree on the time. */
  readonly clock: ClockReading;
  readonly sharedKeys: SharedKeysMemory;
  /** The memory of the Board, which has the thread's heartbeat. */
  readonly board: SharedArrayBuffer;
  /** The thread's access to the event bus. */
  readonly events: ProducerSeat;
  /** Shared memory for the thread's reports on the tiers. */
  readonly reports: SharedArrayBuffer;
}

/** The start data of the storage thread. */
export interface StorageThreadData extends TierThreadData {
  readonly name: "storage";
  readonly arena: ArenaMemory;
  /** The thread's owner number in L1 and in the shared keys. */
  readonly workerId: number;
  /** The line to the file thread, if there is one. */
  readonly folders: MessagePort | undefined;
}

/** The start data of the file thread. */
export interface FileThreadData extends TierThreadData {
  readonly name: "file";
}

/** A message from main to the storage thread or the file thread. */
export type ToTierThread =
  | { readonly kind: "connect"; readonly workerId: number; readonly lines: ThreadLines }
  | { readonly kind: "disconnect"; readonly workerId: number }
  /** The file thread was restarted; this line leads to it. */
  | { readonly kind: "folders"; readonly folders: MessagePort }
  /** A stop has begun: `stopped` counts the objects from now on. */
  | { readonly kind: "stopSoon" }
  | { readonly kind: "stop" };

/** A message from such a thread to main. */
export type FromTierThread =
  | { readonly kind: "ready" }
  | { readonly kind: "failed"; readonly message: string }
  /** Objects since the stop began: `stored` in a tier, or `refused` by every tier. */
  | { readonly kind: "stopped"; readonly stored: number; readonly refused: number };

/** The thread itself. */
export interface RunningThread {
  hear(message: Exclude<ToTierThread, { readonly kind: "stop" }>): void;
  /** Finishes everything and closes what the thread has opened; returns the numbers of objects since the stop began. */
  stop(): Promise<{ readonly stored: number; readonly refused: number }>;
}

/** The use of a line: calls to the owner of the folders, or changes of the tiers. */
export type LineKind = "folders" | "changes";

/** One side of the lines between two threads. */
export type ThreadLines = { readonly [Kind in LineKind]?: MessagePort };

/** Opens lines of these kinds; returns both sides. */
export function openLines(kinds: readonly LineKind[]): { readonly near: ThreadLines; readonly far: ThreadLines } {
  const channels = kinds.map((kind) => ({ kind, channel: openChannel() }));
  return {
    near: Object.fromEntries(channels.map(({ kind, channel }) => [kind, channel.port1])),
    far: Object.fromEntries(channels.map(({ kind, channel }) => [kind, channel.port2])),
  };
}

/** The ports of a side, to be transferred to a thread. */
export function portsOf({ folders, changes }: ThreadLines): readonly MessagePort[] {
  return [folders, changes].filter((port) => port !== undefined);
}
