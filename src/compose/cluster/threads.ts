import { LimitTable } from "../../access/limits.ts";
import { type SystemClock, within } from "../../core/clock.ts";
import type { Publish } from "../../core/events.ts";
import type { EventBus } from "../../events/bus.ts";
import type { EventMap } from "../../events/catalogue.ts";
import { allocateSegment } from "../../events/memory/segment.ts";
import type { ProducerSeat } from "../../events/producer.ts";
import type { ArenaMemory } from "../../l1/arena/arena.ts";
import type { L1Manager } from "../../l1/l1_manager.ts";
import { areShared } from "../../l2/mod.ts";
import { loadedThreads, loadThread, startThread, type ThreadEvents } from "../../runtime/thread.ts";
import type { SharedKeysMemory } from "../../storage/shared/memory.ts";
import { abandonJobs } from "../../storage/shared/prefetch_jobs.ts";
import { endClearing } from "../../storage/shared/shared_keys.ts";
import type { OpenAccess } from "../access.ts";
import type { OpenCertificate } from "../certificate.ts";
import type { ServerOptions } from "../server.ts";
import type { Board } from "./board.ts";
import { systemTime } from "./liveness.ts";
import {
  type FromWorker,
  portsOf,
  producerOf,
  type Ready,
  type Stopped,
  type ToWorker,
  type WorkerData,
  type WorkerRef,
} from "./messages.ts";
import type { Relay } from "./relay.ts";
import { allocateReports } from "./storage_reports.ts";
import { Supervisor, type WorkerThread } from "./supervisor.ts";
import { TierThreads } from "./tier_threads.ts";

/** Settings of the threads of a cluster, and everything that main shares with them. */
export interface ClusterThreadsOptions extends ServerOptions {
  readonly clock: SystemClock;
  /** The service port, which all workers share. */
  readonly port: number;
  /** Where workers reach main. */
  readonly relayAddress: { readonly host: string; readonly port: number };
  /** True if a thread has ended when its `terminate` resolves. */
  readonly stopsThreads: boolean;
  /** One more than there are workers, for the replacement of one that hangs. */
  readonly slots: number;
  readonly board: Board;
  readonly arena: ArenaMemory;
  readonly sharedKeys: SharedKeysMemory;
  /** Main's own view. */
  readonly l1: Pick<L1Manager, "takeOver">;
  readonly bus: Pick<EventBus, "addProducer" | "producerGone">;
  readonly busName: string;
  readonly publish: Publish<EventMap>;
  readonly access: Pick<OpenAccess, "shared">;
  readonly certificate: Pick<OpenCertificate, "current">;
  readonly relay: Pick<Relay, "admit" | "gone">;
}

/** Milliseconds that the threads have to stop after a start that failed. */
const ABANDON_MS = 60_000;
/** The module of a worker. */
const WORKER = new URL("./worker.ts", import.meta.url);

/** The results of the threads' stop. */
export interface ThreadsStopped {
  /** Undefined if a thread did not finish in time. */
  readonly stored: number | undefined;
  readonly refused: number;
  readonly cutRequests: number;
  /** One line for each part that could not be ended. */
  readonly failures: readonly string[];
}

/**
 * The threads of a cluster besides main: the workers under their supervisor, the storage thread and the file thread.
 */
export class ClusterThreads {
  readonly supervisor: Supervisor;
  readonly tierThreads: TierThreads;
  readonly #options: ClusterThreadsOptions;
  /** By slot. The workers report on the tiers unless the storage thread has all of them. */
  readonly #workerReports: readonly SharedArrayBuffer[] | undefined;

  constructor(options: ClusterThreadsOptions) {
    const { config, slots, board, publish, stopsThreads } = options;
    this.#options = options;
    this.#workerReports = areShared(config.l2) ? undefined : Array.from({ length: slots }, () => allocateReports());
    this.tierThreads = new TierThreads({
      ...options,
      addProducer: (id) => this.#addProducer(id),
      sendLines: (workerId, lines) => this.supervisor.post(workerId, { kind: "lines", lines }, portsOf(lines)),
    });
    this.supervisor = new Supervisor({
      workers: config.workers,
      slots,
      board,
      timeoutMs: config.workerTimeoutMs,
      stopsThreads,
      ...systemTime,
      spawn: (worker, events) => this.#startWorker(worker, events),
      onReady: (worker) => this.#workerReady(worker),
      onStuck: ({ slot }) => publish("worker.stuck", { slot: String(slot) }),
      onGone: (worker, end) => this.#workerGone(worker, end),
    });
  }

  /**
   * Memory of reports on the tiers, by group of threads: in each group the first one that has a report is used, and
   * each group reports on other tiers.
   */
  reports(): readonly (readonly SharedArrayBuffer[])[] {
    return this.#workerReports === undefined ? this.tierThreads.reports() : [this.#workerReports];
  }

  /** Starts the file thread, the storage thread and then the workers, all or none. Throws StartFailure. */
  async start(): Promise<Ready> {
    for (let count = loadedThreads(WORKER); count < this.#options.config.workers; count += 1) loadThread(WORKER);
    await this.tierThreads.start();
    return await this.supervisor.start();
  }

  /** Ends what has started, after a start that failed. `haveWorkers`: the workers have started. */
  async abandon(haveWorkers: boolean): Promise<void> {
    if (haveWorkers) await this.supervisor.stop();
    await this.tierThreads.stop(ABANDON_MS);
  }

  /** Lets the threads finish within a time. Never throws. */
  async stop(timeoutMs: number): Promise<ThreadsStopped> {
    const beganMs = performance.now();
    this.tierThreads.storage?.stopSoon();
    const workers = await within(timeoutMs, this.supervisor.stop());
    // The workers need the other threads until they are done; then the storage thread stores what they have left.
    const { totals, failures } = await this.tierThreads.stop(Math.max(0, timeoutMs - (performance.now() - beganMs)));
    const total = (count: (stopped: Stopped) => number) => (workers ?? []).reduce((sum, each) => sum + count(each), 0);
    const seconds = timeoutMs / 1000;
    return {
      stored: workers && totals && total(({ stored }) => stored) + totals.stored,
      refused: total(({ refused }) => refused) + (totals?.refused ?? 0),
      cutRequests: total(({ cutRequests }) => cutRequests),
      failures: [
        workers === undefined ? `not finished within ${seconds} s` : undefined,
        workers !== undefined && totals === undefined ? `not stored within ${seconds} s` : undefined,
        ...failures,
        ...(workers ?? []).map(({ failure }) => failure),
      ].filter((failure) => failure !== undefined),
    };
  }

  #startWorker(worker: WorkerRef, events: ThreadEvents<FromWorker>): WorkerThread {
    const { config, version, env, clock, port, arena, sharedKeys, board, certificate } = this.#options;
    const { access, relay, relayAddress, reportError } = this.#options;
    const lines = this.tierThreads.connect(worker.workerId);
    const data: WorkerData = {
      config,
      version,
      env: otelOf(env),
      worker,
      clock: clock.read(),
      port,
      arena,
      sharedKeys,
      lines,
      board: board.buffer,
      certificate: certificate.current(),
      access: access.shared(),
      events: this.#addProducer(producerOf(worker)),
      reports: this.#workerReports?.[worker.slot],
      relay: { ...relayAddress, key: relay.admit(worker.workerId) },
    };
    return startThread<ToWorker, FromWorker>(WORKER, data, {
      ...events,
      ports: portsOf(lines),
      onError(error) {
        reportError(error);
        events.onError(error);
      },
    });
  }

  #workerReady({ slot, workerId }: WorkerRef): void {
    const { publish, access, certificate } = this.#options;
    publish("worker.started", { slot: String(slot) });
    // The tokens and the certificate may have changed while it started and did not listen yet.
    const renewed = certificate.current();
    if (renewed !== undefined) this.supervisor.post(workerId, { kind: "certificate", certificate: renewed });
    const { tokens } = access.shared();
    if (tokens !== undefined) this.supervisor.post(workerId, { kind: "tokens", tokens });
  }

  async #workerGone(
    worker: WorkerRef,
    { cause, mayRun }: { readonly cause: EventMap["worker.gone"]["cause"]; readonly mayRun: boolean },
  ): Promise<void> {
    const { publish, relay, l1, sharedKeys, bus, access, clock } = this.#options;
    publish("worker.gone", { slot: String(worker.slot), cause });
    relay.gone(worker.workerId);
    LimitTable.forget(access.shared().limits, worker.slot);
    await l1.takeOver(worker.workerId, { stillRuns: mayRun });
    endClearing(sharedKeys, worker.workerId);
    abandonJobs(sharedKeys, worker.workerId, { stillRuns: mayRun, nowMs: clock.monotonicMs() });
    this.tierThreads.disconnect(worker.workerId);
    await bus.producerGone(producerOf(worker));
  }

  /** Adds the producer of a thread to the bus. */
  #addProducer(id: string): ProducerSeat {
    const { bus, busName, config: { eventQueueEntries: queueSize } } = this.#options;
    const memory = allocateSegment(queueSize);
    bus.addProducer(id, memory);
    return { bus: busName, id, memory, queueSize };
  }
}

/** The standard OTEL_* variables: a worker needs no others. */
function otelOf(env: ServerOptions["env"]): ServerOptions["env"] {
  return Object.fromEntries(Object.entries(env).filter(([name]) => name.startsWith("OTEL_")));
}
