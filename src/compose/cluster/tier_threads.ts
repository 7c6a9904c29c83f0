import type { Config } from "../../config.ts";
import { type SystemClock, within } from "../../core/clock.ts";
import { causeText } from "../../core/errors.ts";
import type { EventBus } from "../../events/bus.ts";
import type { ProducerSeat } from "../../events/producer.ts";
import type { ArenaMemory } from "../../l1/arena/arena.ts";
import { MAX_WORKER_ID } from "../../l1/arena/layout.ts";
import type { L1Manager } from "../../l1/l1_manager.ts";
import { areShared, foldersApart } from "../../l2/mod.ts";
import { startThread, type Thread, type ThreadEvents } from "../../runtime/thread.ts";
import type { SharedKeysMemory } from "../../storage/shared/memory.ts";
import { endClearing } from "../../storage/shared/shared_keys.ts";
import { systemTime } from "./liveness.ts";
import {
  type FileThreadData,
  type FromTierThread,
  type LineKind,
  portsOf,
  type StorageThreadData,
  type ThreadLines,
  type TierThreadName,
  type ToTierThread,
} from "./messages.ts";
import { allocateReports } from "./storage_reports.ts";
import { TierThread, type TierThreadOptions } from "./tier_thread.ts";

/** Options of TierThreads. */
export interface TierThreadsOptions extends Pick<TierThreadOptions, "board" | "publish" | "reportError"> {
  readonly config: Config;
  readonly clock: SystemClock;
  readonly arena: ArenaMemory;
  readonly sharedKeys: SharedKeysMemory;
  /** Main's own view. */
  readonly l1: Pick<L1Manager, "takeOver">;
  readonly bus: Pick<EventBus, "producerGone">;
  /** Adds the producer of a thread to the bus. */
  readonly addProducer: (id: string) => ProducerSeat;
  /** Sends a worker its lines to a thread that was restarted. */
  readonly sendLines: (workerId: number, lines: ThreadLines) => void;
}

/** The end of the threads' stop. */
export interface TierThreadsStopped {
  /** Undefined if the storage thread did not finish in time. */
  readonly totals: { readonly stored: number; readonly refused: number } | undefined;
  /** One line for each part that could not be ended. */
  readonly failures: readonly string[];
}

/**
 * The threads that own the tiers: the storage thread and, where there are tiers of other kinds beside file tiers, the
 * file thread, which owns the folders.
 */
export class TierThreads {
  /** Undefined where no tier needs one. */
  readonly storage: TierThread | undefined;
  /** Undefined where the storage thread owns the folders, or where there are none. */
  readonly file: TierThread | undefined;
  readonly #options: TierThreadsOptions;
  /** By thread, of the newest one and of the one before it, whose report counts until the newest has reported. */
  readonly #reports = new Map<TierThreadName, readonly SharedArrayBuffer[]>();
  /** The worker id of the newest storage thread. */
  #storageWorkerId = 0;

  constructor(options: TierThreadsOptions) {
    const { config, board, publish, reportError, bus, sendLines } = options;
    this.#options = options;
    const common = { board, publish, reportError, ...systemTime };
    this.file = !foldersApart(config.l2).includes(true) ? undefined : new TierThread({
      ...common,
      name: "file",
      spawn: (generation, events) => startTierThread({ ...this.#data("file", generation), name: "file" }, events),
      onGone: async (generation) => await bus.producerGone(producerOf("file", generation)),
      onConnected: (workerId, lines) => this.#foldersConnected(workerId, lines),
    });
    this.storage = !areShared(config.l2) ? undefined : new TierThread({
      ...common,
      name: "storage",
      spawn: (generation, events) => this.#startStorage(generation, events),
      onGone: (generation) => this.#storageGone(generation),
      onConnected: sendLines,
    });
  }

  /** Memory of the reports on the tiers: a group for each thread, in which the first one that has a report is used. */
  reports(): readonly (readonly SharedArrayBuffer[])[] {
    return [...this.#reports.values()];
  }

  /** Starts the file thread and then the storage thread, which needs it. Throws StartFailure. */
  async start(): Promise<void> {
    await this.file?.start();
    await this.storage?.start();
  }

  /** Connects a worker; returns its ends of the lines. */
  connect(workerId: number): ThreadLines {
    const isApart = this.file !== undefined;
    const ofStorage: readonly LineKind[] = isApart ? ["changes"] : ["folders", "changes"];
    return { ...this.storage?.connect(workerId, ofStorage), ...this.file?.connect(workerId, ["folders"]) };
  }

  /** Disconnects a worker that is gone. */
  disconnect(workerId: number): void {
    this.storage?.disconnect(workerId);
    this.file?.disconnect(workerId);
  }

  /** Lets the storage thread store what is dirty, and then the file thread close its folders. Never throws. */
  async stop(timeoutMs: number): Promise<TierThreadsStopped> {
    const untilMs = performance.now() + timeoutMs;
    const restMs = () => Math.max(0, untilMs - performance.now());
    const storing = await within(restMs(), settled(this.storage?.stop()));
    const closing = await within(restMs(), settled(this.file?.stop()));
    const stored = storing?.status === "fulfilled" ? storing.value : undefined;
    return {
      totals: storing && { stored: stored?.stored ?? 0, refused: stored?.refused ?? 0 },
      failures: [storing, closing].filter((each) => each?.status === "rejected").map(({ reason }) => causeText(reason)),
    };
  }

  #startStorage(generation: number, events: ThreadEvents<FromTierThread>): Thread<ToTierThread> {
    const workerId = storageWorkerId(generation);
    this.#storageWorkerId = workerId;
    const lines = this.file?.connect(workerId, ["folders"]) ?? {};
    const data: StorageThreadData = {
      ...this.#data("storage", generation),
      name: "storage",
      arena: this.#options.arena,
      workerId,
      folders: lines.folders,
    };
    return startTierThread(data, { ...events, ports: portsOf(lines) });
  }

  #data(name: TierThreadName, generation: number): Omit<FileThreadData, "name"> {
    const { config, clock, sharedKeys, board, addProducer } = this.#options;
    const reports = allocateReports();
    this.#reports.set(name, [reports, ...this.#reports.get(name) ?? []].slice(0, 2));
    const events = addProducer(producerOf(name, generation));
    return { config, clock: clock.read(), sharedKeys, board: board.buffer, events, reports };
  }

  async #storageGone(generation: number): Promise<void> {
    const { l1, sharedKeys, bus } = this.#options;
    const workerId = storageWorkerId(generation);
    this.file?.disconnect(workerId);
    await l1.takeOver(workerId);
    endClearing(sharedKeys, workerId);
    await bus.producerGone(producerOf("storage", generation));
  }

  /** The file thread was restarted: sends a thread its new line to it. */
  #foldersConnected(workerId: number, lines: ThreadLines): void {
    if (workerId !== this.#storageWorkerId) this.#options.sendLines(workerId, lines);
    else if (lines.folders !== undefined) this.storage?.connectFolders(lines.folders);
  }
}

/** The storage thread's number in L1, counted from the other end than the workers'. */
function storageWorkerId(generation: number): number {
  return MAX_WORKER_ID - generation;
}

/** A thread's name on the bus. */
function producerOf(name: TierThreadName, generation: number): string {
  return `${name}.${generation}`;
}

function startTierThread(
  data: StorageThreadData | FileThreadData,
  events: Parameters<typeof startThread<ToTierThread, FromTierThread>>[2],
): Thread<ToTierThread> {
  return startThread(new URL("./storage_thread.ts", import.meta.url), data, events);
}

/** Waits for a promise without a rejection. */
async function settled<T>(promise: Promise<T> | undefined): Promise<PromiseSettledResult<T | undefined>> {
  const [result] = await Promise.allSettled([promise ?? Promise.resolve(undefined)]);
  return result;
}
