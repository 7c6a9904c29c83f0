import { setTimeout as delay } from "node:timers/promises";
import { createAdminApp } from "../../routes/app.ts";
import { publicConfig } from "../config/public_config.ts";
import { systemClock } from "../core/clock.ts";
import { shareRuns } from "../core/share_runs.ts";
import { EventBus } from "../events/bus.ts";
import { allocateSegment } from "../events/memory/segment.ts";
import { noPublish } from "../events/no_publish.ts";
import type { ProducerSeat } from "../events/thread_producer.ts";
import { currentRuntime } from "../runtime/mod.ts";
import { startThread } from "../runtime/thread.ts";
import { threadUsage } from "../runtime/thread_usage.ts";
import { lossListeners } from "../storage/loss_listeners.ts";
import { GhostIndex } from "../storage/shared/ghost_index.ts";
import { allocateSharedKeys } from "../storage/shared/memory.ts";
import { endClearing } from "../storage/shared/shared_keys.ts";
import { causeText } from "../core/cause_text.ts";
import { MAX_HOLDER } from "../l1/arena/layout.ts";
import { areShared, hasFolders } from "../l2/mod.ts";
import type { StorageThreadData } from "./storage_thread/messages.ts";
import { StorageThread } from "./storage_thread/storage_thread.ts";
import { accessOptions } from "./access_options.ts";
import { openAccess } from "./open_access.ts";
import { unready } from "./unready.ts";
import { Board } from "./cluster/board.ts";
import { ClusterStorage } from "./cluster/cluster_storage.ts";
import { Relay } from "./cluster/relay.ts";
import { allocateL1, openL1 } from "./l1.ts";
import { liveEvents } from "./live_events.ts";
import { runtimeName } from "./node.ts";
import { busStatus, OBSERVABILITY_OFF } from "./observe.ts";
import type { RunningServer, ServerOptions } from "./server.ts";
import { findPorts } from "./ports.ts";
import { checkRequestLog, openTelemetry } from "./telemetry.ts";
import type { ObjectAmount, StopResult } from "./stop/stop_result.ts";
import { Supervisor } from "./cluster/supervisor.ts";
import { allocateReports } from "./cluster/tier_reports.ts";
import type { FromWorker, Stopped, ToWorker } from "./cluster/worker_messages.ts";
import { producerOf, type WorkerData } from "./cluster/worker_data.ts";

/** Main's own number among the threads that share L1. */
const MAIN_HOLDER = 1;
/** How long a stop lets the admin port's running requests finish. */
const ADMIN_PATIENCE_MS = 1000;

/** A cluster also answers on its admin port. */
export interface RunningCluster extends Omit<RunningServer, "stop"> {
  readonly adminAddress: RunningServer["address"];
  readonly supervisor: Pick<Supervisor, "kill" | "status">;
  /** Missing where no tier needs one. */
  readonly storageThread: Pick<StorageThread, "kill" | "status"> | undefined;
  /**
   * As RunningServer.stop, in the time that the settings give and the time for the last push. Never throws; tells what
   * it could not do.
   */
  stop(): Promise<StopResult>;
  /** Acknowledged objects that wait for their store. */
  unsaved(): ObjectAmount;
  /** Opens log files again, whose names another program has changed. */
  reopenLogs(): void;
}

/** What a cluster is started with. */
export interface ClusterOptions extends ServerOptions {
  /**
   * Gives the start up where nothing can have been acknowledged yet: `startCluster` throws its reason, and the process
   * is to end. Default: never.
   */
  readonly giveUp?: AbortSignal;
}

/**
 * Starts the workers and, in this thread, the supervisor and the collector: the OTel SDK, its subscribers, the admin
 * port. All or nothing. Throws StartFailure with what a worker said, or the system's error if a port is taken.
 */
export async function startCluster(
  { config, version, env, reportError, giveUp }: ClusterOptions,
): Promise<RunningCluster> {
  const clock = systemClock;
  const { wallMs: startMs, monotonicMs: startedMs } = clock.read();
  const runtime = currentRuntime();
  const build = { version, runtime: runtimeName(runtime), startMs };
  const access = await openAccess(config, { publish: (name, fields) => publish(name, fields), clock, reportError });
  const [port, adminPort] = await findPorts(config);
  if (config.observability) checkRequestLog(config);
  // One more than there are workers, for the replacement of one that hangs.
  const places = config.workers + 1;
  const board = new Board(places);
  const arena = allocateL1(config);
  const sharedKeys = allocateSharedKeys({ hashSeed: crypto.getRandomValues(new Uint32Array(1))[0] ?? 0 });
  const busName = `vitrine-${crypto.randomUUID()}`;
  const bus = new EventBus({
    name: busName,
    clock,
    // Traffic may come before the subscribers are there: not an event of it is missed.
    held: true,
    onException: (name, cause) => reportError(new Error(`call subscriber: ${name}`, { cause })),
  });
  const publish = config.observability ? bus.publish : noPublish;
  const seatOnBus = (id: string): ProducerSeat => {
    const queueSize = config.eventQueueEntries;
    const memory = allocateSegment(queueSize);
    bus.addProducer(id, memory);
    return { bus: busName, id, memory, queueSize };
  };
  const ghosts = new GhostIndex(sharedKeys);
  const l1 = openL1(arena, { config, holder: MAIN_HOLDER, clock, publish, onRemoved: lossListeners(ghosts, clock).l1 });
  const live = liveEvents(config, config.observability ? bus : undefined);
  const relay = new Relay({ events: live.open, metrics: () => metricsText(), status: () => status() });
  // The storage thread reports on the tiers where it has all of them, else the workers do. A thread that is started
  // again has memory of its own; until it has reported, what the one before it said is shown.
  const reportsOfWorkers = !areShared(config.l2);
  const storageReports: SharedArrayBuffer[] = [];
  const workerReports = Array.from({ length: places }, () => allocateReports());

  const hasStorageThread = hasFolders(config.l2) || areShared(config.l2);
  const storageThread = !hasStorageThread ? undefined : new StorageThread({
    spawn(generation, events) {
      const reports = allocateReports();
      storageReports.unshift(reports);
      storageReports.splice(2);
      const data: StorageThreadData = {
        config,
        clock: clock.read(),
        arena,
        sharedKeys,
        holder: storageHolder(generation),
        board: board.buffer,
        events: seatOnBus(storageProducer(generation)),
        reports,
      };
      return startThread(new URL("./storage_thread/entry.ts", import.meta.url), data, events);
    },
    async onGone(generation) {
      const holder = storageHolder(generation);
      await l1.takeOver(holder);
      endClearing(sharedKeys, holder);
      await bus.producerGone(storageProducer(generation));
    },
    board,
    onConnected: (holder, lines) => supervisor.post(holder, { kind: "storage", lines }, [lines.folders, lines.changes]),
    publish,
    reportError,
    ...systemTime,
  });
  // From the other end than the workers' numbers.
  const storageHolder = (generation: number): number => MAX_HOLDER - generation;
  const supervisor = new Supervisor({
    workers: config.workers,
    places,
    board,
    timeoutMs: config.workerTimeoutMs,
    stopsThreads: runtime.stopsThreads,
    ...systemTime,
    spawn(seat, events) {
      const storageLines = storageThread?.connect(seat.holder);
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
        events: seatOnBus(producerOf(seat)),
        reports: reportsOfWorkers ? workerReports[seat.place] : undefined,
        relay: { host: config.host, port: adminPort, key: relay.admit(seat.holder) },
      };
      const url = new URL("./cluster/worker.ts", import.meta.url);
      return startThread<ToWorker, FromWorker>(url, data, {
        ...events,
        ports: storageLines === undefined ? [] : [storageLines.folders, storageLines.changes],
        onError(error) {
          reportError(error);
          events.onError(error);
        },
      });
    },
    onReady({ place, holder }) {
      publish("worker.started", { place: String(place) });
      // They may have changed while it started, when nobody there listened.
      const { tokens } = access.shared();
      if (tokens !== undefined) supervisor.post(holder, { kind: "tokens", tokens });
    },
    onStuck: ({ place }) => publish("worker.stuck", { place: String(place) }),
    async onGone(seat, { cause, mayRun }) {
      publish("worker.gone", { place: String(seat.place), cause });
      relay.gone(seat.holder);
      await l1.takeOver(seat.holder, { stillRuns: mayRun });
      endClearing(sharedKeys, seat.holder);
      storageThread?.disconnect(seat.holder);
      await bus.producerGone(producerOf(seat));
    },
  });
  const storage = new ClusterStorage({
    supervisor,
    board,
    l1,
    ghosts,
    clock,
    reports: () => reportsOfWorkers ? workerReports : storageReports,
  });

  // However many ask, on all ports and from all workers, one answer is in the making at a time. It is made of what lies
  // in memory: no thread is waited for.
  const metricsText = shareRuns(async () => {
    await bus.flush();
    return await telemetry?.prometheusText() ?? OBSERVABILITY_OFF;
  });

  const status = shareRuns(async (): Promise<object> => {
    await bus.flush();
    const workers = supervisor.status();
    return {
      version,
      runtime: build.runtime,
      uptime_seconds: (clock.monotonicMs() - startedMs) / 1000,
      active_requests: activeRequests(),
      workers,
      worker_restarts: supervisor.restarts,
      storage_thread: storageThread?.status(),
      event_streams: live.streams(),
      ...storage.status(),
      events: busStatus(bus.stats()),
    };
  });

  function activeRequests(): number {
    return supervisor.status().reduce((sum, worker) => sum + worker.activeRequests, admin.activeRequests());
  }

  const admin = createAdminApp({
    publish,
    clock,
    version: { version, runtime: build.runtime },
    config: () => publicConfig(config),
    status,
    metricsText,
    events: live.open,
    access: access.access,
    ...accessOptions(config),
    isAlive: () => supervisor.status().every(({ state }) => state !== "stuck"),
    unready: () =>
      unready({
        isServing: board.isReady,
        storageOutage: board.storageOutage,
        hasTrouble: supervisor.status().some(({ place }) => board.isInTrouble(place)),
      }),
    reportError,
  });
  const [opening, starting] = await Promise.race([
    Promise.allSettled([
      config.observability
        ? openTelemetry({ config, env, clock, version, instanceId: crypto.randomUUID() })
        : Promise.resolve(undefined),
      (storageThread?.start() ?? Promise.resolve()).then(() => supervisor.start()),
    ]),
    givenUp(giveUp, () => !board.hasServed),
  ]);
  if (opening.status === "rejected" || starting.status === "rejected") {
    if (starting.status === "fulfilled") await supervisor.stop();
    await storageThread?.stop().catch(() => {});
    await bus.stop();
    // A worker that refuses the same variables can only say so in words.
    throw opening.status === "rejected" ? opening.reason : starting.status === "rejected" && starting.reason;
  }
  const telemetry = opening.value;
  const { tiers } = starting.value;
  telemetry?.subscribe(bus, {
    adapters: tiers.slice(1),
    state: {
      l1: () => l1.usage(),
      storage: () => Promise.resolve(storage.status()),
      activeRequests,
      workers: () => supervisor.status().map(({ state }) => state),
      storageThreadStuckSeconds: () => storageThread?.status().stuckSeconds ?? 0,
    },
    busStats: () => bus.settledStats(),
    build,
  });
  bus.begin();
  access.watch((tokens) => supervisor.postAll({ kind: "tokens", tokens }));
  const adminListener = runtime.serve({
    host: config.host,
    port: adminPort,
    reusePort: false,
    idleTimeoutSeconds: 60,
    fetch: (request, context) => relay.answer(request) ?? admin.fetch(request, context),
    endlessRequests: () => admin.endlessRequests(),
    onError: reportError,
  });
  board.isReady = true;
  return {
    address: { host: config.host, port },
    adminAddress: adminListener.address,
    supervisor,
    storageThread,
    unsaved: () => l1.unsaved(),
    reopenLogs: () => telemetry?.reopenFiles(),
    async stop() {
      const beganMs = performance.now();
      // Some of what follows waits for other threads or with timers that hold no event loop: this one keeps it turning.
      const held = setInterval(() => {}, 1000);
      try {
        board.isReady = false;
        live.close();
        access.close();
        const failures: string[] = [];
        const before = l1.unsaved();
        storageThread?.stopSoon();
        const said = await inTime(supervisor.stop(), config.shutdownTimeoutMs);
        if (said === undefined) failures.push(`not finished within ${config.shutdownTimeoutMs / 1000} s`);
        // The workers need it until they are done; then it stores what they have left.
        const restMs = Math.max(0, config.shutdownTimeoutMs - (performance.now() - beganMs));
        const closed = await inTime(settled(storageThread?.stop()), restMs);
        if (said !== undefined && closed === undefined) {
          failures.push(`not stored within ${config.shutdownTimeoutMs / 1000} s`);
        }
        if (closed?.status === "rejected") failures.push(causeText(closed.reason));
        const thread = closed?.status === "fulfilled" ? closed.value : undefined;
        await adminListener.stop({ patienceMs: ADMIN_PATIENCE_MS });
        await bus.stop();
        const pushes = await telemetry?.shutdown() ?? new Map<string, boolean>();
        const total = (count: (stopped: Stopped) => number) => (said ?? []).reduce((sum, each) => sum + count(each), 0);
        for (const { failure } of said ?? []) if (failure !== undefined) failures.push(failure);
        return {
          seconds: (performance.now() - beganMs) / 1000,
          stored: said === undefined || closed === undefined
            ? Math.max(0, before.objects - l1.unsaved().objects)
            : total(({ stored }) => stored) + (thread?.stored ?? 0),
          refused: total(({ refused }) => refused) + (thread?.refused ?? 0),
          unsaved: l1.unsaved(),
          cutRequests: total(({ cutRequests }) => cutRequests),
          failures,
          pushes,
        };
      } finally {
        clearInterval(held);
      }
    },
  };
}

/** How main tells time and looks at threads. */
const systemTime = {
  nowMs: () => performance.now(),
  threadUsage,
  every(ms: number, callback: () => void) {
    const timer = setInterval(callback, ms);
    return () => clearInterval(timer);
  },
  after: (ms: number, callback: () => void) => void setTimeout(callback, ms),
};

/** The storage thread's name on the bus. */
function storageProducer(generation: number): string {
  return `storage.${generation}`;
}

/** How a promise ends, without a rejection. */
async function settled<T>(promise: Promise<T> | undefined): Promise<PromiseSettledResult<T | undefined>> {
  const [result] = await Promise.allSettled([promise ?? Promise.resolve(undefined)]);
  return result;
}

/** Rejects with the signal's reason when it is aborted while `may` holds; else never settles. */
function givenUp(signal: AbortSignal | undefined, may: () => boolean): Promise<never> {
  return new Promise((_resolve, reject) => {
    const look = () => {
      if (may()) reject(signal?.reason);
    };
    if (signal?.aborted === true) look();
    signal?.addEventListener("abort", look, { once: true });
  });
}

/** What the promise gives, or undefined when the time is over. */
async function inTime<T>(promise: Promise<T>, timeoutMs: number): Promise<T | undefined> {
  const over = new AbortController();
  const late = delay(timeoutMs, undefined, { signal: over.signal }).catch(() => undefined);
  try {
    return await Promise.race([promise, late]);
  } finally {
    over.abort();
  }
}

/** The standard variables alone: a worker needs no others. */
function otelOf(env: ServerOptions["env"]): ServerOptions["env"] {
  return Object.fromEntries(Object.entries(env).filter(([name]) => name.startsWith("OTEL_")));
}
