import type { SystemClock } from "../../core/clock.ts";
import { within } from "../../core/timers.ts";
import type { EventBus } from "../../events/bus.ts";
import type { EventMap } from "../../events/catalogue.ts";
import { allocateSegment } from "../../events/memory/segment.ts";
import type { ProducerSeat } from "../../events/producer.ts";
import type { ArenaMemory } from "../../l1/arena/arena.ts";
import { MAX_HOLDER } from "../../l1/arena/layout.ts";
import type { L1Manager } from "../../l1/l1_manager.ts";
import { areShared } from "../../l2/mod.ts";
import { startThread, type Thread, type ThreadEvents, threadUsage } from "../../runtime/thread.ts";
import type { SharedKeysMemory } from "../../storage/shared/memory.ts";
import { endClearing } from "../../storage/shared/shared_keys.ts";
import type { OpenAccess } from "../access.ts";
import type { ServerOptions } from "../server_thread.ts";
import type { FromStorageThread, StorageThreadData, ToStorageThread } from "../storage_thread/messages.ts";
import { StorageThread } from "../storage_thread/storage_thread.ts";
import type { Board } from "./board.ts";
import type { Relay } from "./relay.ts";
import { allocateReports } from "./storage_reports.ts";
import { Supervisor, type WorkerThread } from "./supervisor.ts";
import {
  type FromWorker,
  producerOf,
  type Ready,
  type Seat,
  type Stopped,
  type ToWorker,
  type WorkerData,
} from "./worker_messages.ts";
import { causeText } from "../../core/errors.ts";
import type { Publish } from "../../core/events.ts";

/** Settings of the threads of a cluster, and everything that main shares with them. */
export interface ClusterThreadsOptions extends ServerOptions {
  readonly clock: SystemClock;
  /** The service port, which all workers share. */
  readonly port: number;
  readonly adminPort: number;
  /** Whether a thread that was told to end has ended when `terminate` resolves. */
  readonly stopsThreads: boolean;
  /** One more than there are workers, for the replacement of one that hangs. */
  readonly places: number;
  readonly board: Board;
  readonly arena: ArenaMemory;
  readonly sharedKeys: SharedKeysMemory;
  /** Main's own view. */
  readonly l1: Pick<L1Manager, "takeOver">;
  readonly bus: Pick<EventBus, "addProducer" | "producerGone">;
  readonly busName: string;
  readonly publish: Publish<EventMap>;
  readonly access: Pick<OpenAccess, "shared">;
  readonly relay: Pick<Relay, "admit" | "gone">;
}

/** The results of the threads' stop. */
export interface ThreadsStopped {
  /** Undefined if a thread did not finish in time. */
  readonly stored: number | undefined;
  readonly refused: number;
  readonly cutRequests: number;
  /** One line for each part that could not be ended. */
  readonly failures: readonly string[];
}

/** The threads of a cluster besides main: the workers under their supervisor, and the storage thread. */
export class ClusterThreads {
  readonly supervisor: Supervisor;
  /** Undefined where no tier needs one. */
  readonly storageThread: StorageThread | undefined;
  readonly #options: ClusterThreadsOptions;
  /** By place. The workers report on the tiers unless the storage thread has all of them. */
  readonly #workerReports: readonly SharedArrayBuffer[] | undefined;
  /** Of the newest storage thread and of the one before it, whose report counts until the newest has reported. */
  #storageReports: readonly SharedArrayBuffer[] = [];

  constructor(options: ClusterThreadsOptions) {
    const { config, places, board, publish, reportError, stopsThreads } = options;
    const isTierOwner = areShared(config.l2);
    this.#options = options;
    this.#workerReports = isTierOwner ? undefined : Array.from({ length: places }, () => allocateReports());
    this.storageThread = !isTierOwner ? undefined : new StorageThread({
      board,
      publish,
      reportError,
      ...systemTime,
      spawn: (generation, events) => this.#startStorageThread(generation, events),
      onGone: (generation) => this.#storageThreadGone(generation),
      onConnected: (holder, lines) =>
        this.supervisor.post(holder, { kind: "storage", lines }, [lines.folders, lines.changes]),
    });
    this.supervisor = new Supervisor({
      workers: config.workers,
      places,
      board,
      timeoutMs: config.workerTimeoutMs,
      stopsThreads,
      ...systemTime,
      spawn: (seat, events) => this.#startWorker(seat, events),
      onReady: (seat) => this.#workerReady(seat),
      onStuck: ({ place }) => publish("worker.stuck", { place: String(place) }),
      onGone: (seat, end) => this.#workerGone(seat, end),
    });
  }

  /** Memory of reports on the tiers; the first one that has a report is used. */
  reports(): readonly SharedArrayBuffer[] {
    return this.#workerReports ?? this.#storageReports;
  }

  /** Starts the storage thread and then the workers, all or none. Throws StartFailure. */
  async start(): Promise<Ready> {
    await this.storageThread?.start();
    return await this.supervisor.start();
  }

  /** Ends what has started, after a start that failed. `haveWorkers`: the workers have started. */
  async abandon(haveWorkers: boolean): Promise<void> {
    if (haveWorkers) await this.supervisor.stop();
    await this.storageThread?.stop().catch(() => {});
  }

  /** Lets the threads finish within a time. Never throws. */
  async stop(timeoutMs: number): Promise<ThreadsStopped> {
    const beganMs = performance.now();
    this.storageThread?.stopSoon();
    const workers = await within(timeoutMs, this.supervisor.stop());
    // The workers need the storage thread until they are done; then it stores what they have left.
    const restMs = Math.max(0, timeoutMs - (performance.now() - beganMs));
    const storing = await within(restMs, settled(this.storageThread?.stop()));
    const inTime = workers !== undefined && storing !== undefined;
    const thread = storing?.status === "fulfilled" ? storing.value : undefined;
    const total = (count: (stopped: Stopped) => number) => (workers ?? []).reduce((sum, each) => sum + count(each), 0);
    const seconds = timeoutMs / 1000;
    return {
      stored: inTime ? total(({ stored }) => stored) + (thread?.stored ?? 0) : undefined,
      refused: total(({ refused }) => refused) + (thread?.refused ?? 0),
      cutRequests: total(({ cutRequests }) => cutRequests),
      failures: [
        workers === undefined ? `not finished within ${seconds} s` : undefined,
        workers !== undefined && storing === undefined ? `not stored within ${seconds} s` : undefined,
        storing?.status === "rejected" ? causeText(storing.reason) : undefined,
        ...(workers ?? []).map(({ failure }) => failure),
      ].filter((failure) => failure !== undefined),
    };
  }

  #startStorageThread(
    generation: number,
    events: ThreadEvents<FromStorageThread>,
  ): Thread<ToStorageThread> {
    const { config, clock, arena, sharedKeys, board } = this.#options;
    const reports = allocateReports();
    this.#storageReports = [reports, ...this.#storageReports].slice(0, 2);
    const data: StorageThreadData = {
      config,
      clock: clock.read(),
      arena,
      sharedKeys,
      holder: storageHolder(generation),
      board: board.buffer,
      events: this.#addProducer(storageProducer(generation)),
      reports,
    };
    return startThread(new URL("../storage_thread/entry.ts", import.meta.url), data, events);
  }

  async #storageThreadGone(generation: number): Promise<void> {
    const { l1, sharedKeys, bus } = this.#options;
    const holder = storageHolder(generation);
    await l1.takeOver(holder);
    endClearing(sharedKeys, holder);
    await bus.producerGone(storageProducer(generation));
  }

  #startWorker(seat: Seat, events: ThreadEvents<FromWorker>): WorkerThread {
    const { config, version, env, clock, port, adminPort, arena, sharedKeys, board } = this.#options;
    const { access, relay, reportError } = this.#options;
    const storageLines = this.storageThread?.connect(seat.holder);
    const data: WorkerData = {
      config,
      version,
      env: otelOf(env),
      seat,
      clock: clock.read(),
      port,
      arena,
      sharedKeys,
      storageLines,
      board: board.buffer,
      access: access.shared(),
      events: this.#addProducer(producerOf(seat)),
      reports: this.#workerReports?.[seat.place],
      relay: { host: config.host, port: adminPort, key: relay.admit(seat.holder) },
    };
    return startThread<ToWorker, FromWorker>(new URL("./worker.ts", import.meta.url), data, {
      ...events,
      ports: storageLines === undefined ? [] : [storageLines.folders, storageLines.changes],
      onError(error) {
        reportError(error);
        events.onError(error);
      },
    });
  }

  #workerReady({ place, holder }: Seat): void {
    const { publish, access } = this.#options;
    publish("worker.started", { place: String(place) });
    // The tokens may have changed while it started and did not listen yet.
    const { tokens } = access.shared();
    if (tokens !== undefined) this.supervisor.post(holder, { kind: "tokens", tokens });
  }

  async #workerGone(
    seat: Seat,
    { cause, mayRun }: { readonly cause: EventMap["worker.gone"]["cause"]; readonly mayRun: boolean },
  ): Promise<void> {
    const { publish, relay, l1, sharedKeys, bus } = this.#options;
    publish("worker.gone", { place: String(seat.place), cause });
    relay.gone(seat.holder);
    await l1.takeOver(seat.holder, { stillRuns: mayRun });
    endClearing(sharedKeys, seat.holder);
    this.storageThread?.disconnect(seat.holder);
    await bus.producerGone(producerOf(seat));
  }

  /** Adds the producer of a thread to the bus. */
  #addProducer(id: string): ProducerSeat {
    const { bus, busName, config: { eventQueueEntries: queueSize } } = this.#options;
    const memory = allocateSegment(queueSize);
    bus.addProducer(id, memory);
    return { bus: busName, id, memory, queueSize };
  }
}

/** Time and the system's account of threads. */
const systemTime = {
  nowMs: () => performance.now(),
  threadUsage,
  every(ms: number, callback: () => void) {
    const timer = setInterval(callback, ms);
    return () => clearInterval(timer);
  },
  after: (ms: number, callback: () => void) => void setTimeout(callback, ms),
};

/** The storage thread's number in L1, counted from the other end than the workers'. */
function storageHolder(generation: number): number {
  return MAX_HOLDER - generation;
}

/** The storage thread's name on the bus. */
function storageProducer(generation: number): string {
  return `storage.${generation}`;
}

/** The standard OTEL_* variables: a worker needs no others. */
function otelOf(env: ServerOptions["env"]): ServerOptions["env"] {
  return Object.fromEntries(Object.entries(env).filter(([name]) => name.startsWith("OTEL_")));
}

/** How a promise ends, without a rejection. */
async function settled<T>(promise: Promise<T> | undefined): Promise<PromiseSettledResult<T | undefined>> {
  const [result] = await Promise.allSettled([promise ?? Promise.resolve(undefined)]);
  return result;
}
