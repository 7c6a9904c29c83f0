import { systemClock } from "../core/clock.ts";
import { EventBus } from "../events/bus.ts";
import { noPublish } from "../events/producer.ts";
import { currentRuntime } from "../runtime/mod.ts";
import { lossListeners } from "../storage/loss_listeners.ts";
import { GhostIndex } from "../storage/shared/ghost_index.ts";
import { allocateSharedKeys } from "../storage/shared/memory.ts";
import { openAccess } from "./access.ts";
import { clusterAdmin } from "./cluster/admin.ts";
import { Board } from "./cluster/board.ts";
import { Relay } from "./cluster/relay.ts";
import { ClusterStorage } from "./cluster/storage_reports.ts";
import type { Supervisor } from "./cluster/supervisor.ts";
import { ClusterThreads } from "./cluster/threads.ts";
import { findPorts } from "./ports.ts";
import { type RunningServer, runtimeName, type ServerOptions } from "./server_thread.ts";
import type { StorageThread } from "./storage_thread/storage_thread.ts";
import type { ObjectAmount, StopResult } from "./stop_result.ts";
import { checkRequestLog, liveEvents, openTelemetry, type Telemetry } from "./telemetry.ts";
import { allocateL1, openL1 } from "./tiers.ts";

/** Main's own number among the threads that share L1. */
const MAIN_HOLDER = 1;
/** How long a stop lets the admin port's running requests finish. */
const ADMIN_PATIENCE_MS = 1000;

/** A cluster also answers on its admin port. */
export interface RunningCluster extends Omit<RunningServer, "stop"> {
  readonly adminAddress: RunningServer["address"];
  readonly supervisor: Pick<Supervisor, "kill" | "status">;
  /** Undefined if no tier needs one. */
  readonly storageThread: Pick<StorageThread, "kill" | "status"> | undefined;
  /**
   * As RunningServer.stop, within the configured time plus the time for the last push. Never throws; the result has
   * what could not be done.
   */
  stop(): Promise<StopResult>;
  /** Dirty objects: acknowledged and not yet stored. */
  dirty(): ObjectAmount;
  /** Reopens log files that another program has renamed. */
  reopenLogs(): void;
}

/** Options of a cluster. */
export interface ClusterOptions extends ServerOptions {
  /**
   * Aborts the start as long as no write can have been acknowledged. `startCluster` then throws the signal's reason,
   * and the process must end. Default: never.
   */
  readonly giveUp?: AbortSignal;
}

/**
 * Starts the workers and, in this thread, the supervisor and the collector: the OTel SDK, its subscribers, the admin
 * port. All or nothing. Throws StartFailure with a worker's message, or the system's error if a port is taken.
 */
export async function startCluster(options: ClusterOptions): Promise<RunningCluster> {
  const { config, version, env, reportError, giveUp } = options;
  const clock = systemClock;
  const { wallMs: startMs, monotonicMs: startedMs } = clock.read();
  const runtime = currentRuntime();
  const build = { version, runtime: runtimeName(runtime), startMs };

  const busName = `vitrine-${crypto.randomUUID()}`;
  const onException = (name: string, cause: unknown) => reportError(new Error(`call subscriber: ${name}`, { cause }));
  // Traffic may come before the subscribers exist; held, the bus misses no event of it.
  const bus = new EventBus({ name: busName, clock, held: true, onException });
  const publish = config.observability ? bus.publish : noPublish;

  const access = await openAccess(config, { publish, clock, reportError });
  const [port, adminPort] = await findPorts(config);
  if (config.observability) checkRequestLog(config);

  // One place more than there are workers, for the replacement of one that hangs.
  const places = config.workers + 1;
  const board = new Board(places);
  const arena = allocateL1(config);
  const sharedKeys = allocateSharedKeys({ hashSeed: crypto.getRandomValues(new Uint32Array(1))[0] ?? 0 });
  const ghosts = new GhostIndex(sharedKeys);
  const l1 = openL1(arena, { config, holder: MAIN_HOLDER, clock, publish, onRemoved: lossListeners(ghosts, clock).l1 });

  const live = liveEvents(config, config.observability ? bus : undefined);
  const relay = new Relay({ events: live.open, metrics: () => admin.metricsText(), status: () => admin.status() });
  const threads = new ClusterThreads({
    ...{ config, version, env, reportError, clock, publish, port, adminPort, places },
    ...{ board, arena, sharedKeys, l1, bus, busName, access, relay },
    stopsThreads: runtime.stopsThreads,
  });
  const { supervisor, storageThread } = threads;
  const storage = new ClusterStorage({ supervisor, board, l1, ghosts, clock, reports: () => threads.reports() });
  let telemetry: Telemetry | undefined = undefined;
  const admin = clusterAdmin({
    ...{ config, version, reportError, clock, build, startedMs, publish, bus, board, threads, storage, live, access },
    prometheusText: async () => await telemetry?.prometheusText(),
  });

  const [opening, starting] = await Promise.race([
    Promise.allSettled([
      config.observability
        ? openTelemetry({ config, env, clock, version, instanceId: crypto.randomUUID() })
        : Promise.resolve(undefined),
      threads.start(),
    ]),
    rejectWhenAborted(giveUp, () => !board.hasServed),
  ]);
  if (opening.status === "rejected" || starting.status === "rejected") {
    await threads.abandon(starting.status === "fulfilled");
    await bus.stop();
    // Telemetry's error has more in it than that of a worker that refuses the same variables.
    throw opening.status === "rejected" ? opening.reason : starting.status === "rejected" && starting.reason;
  }
  telemetry = opening.value;
  telemetry?.subscribe(bus, {
    adapters: starting.value.tiers.slice(1),
    state: {
      l1: () => l1.usage(),
      storage: () => storage.status(),
      activeRequests: () => admin.activeRequests(),
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
    fetch: (request, context) => relay.answer(request) ?? admin.app.fetch(request, context),
    endlessRequests: () => admin.app.endlessRequests(),
    onError: reportError,
  });
  board.isReady = true;

  async function stop(): Promise<StopResult> {
    const beganMs = performance.now();
    board.isReady = false;
    live.close();
    access.close();
    const dirtyBefore = l1.dirty();
    const { stored, ...stopped } = await threads.stop(config.shutdownTimeoutMs);
    await adminListener.stop({ patienceMs: ADMIN_PATIENCE_MS });
    await bus.stop();
    const pushes = await telemetry?.shutdown() ?? new Map<string, boolean>();
    const dirty = l1.dirty();
    return {
      ...stopped,
      seconds: (performance.now() - beganMs) / 1000,
      stored: stored ?? Math.max(0, dirtyBefore.objects - dirty.objects),
      dirty,
      pushes,
    };
  }

  return {
    address: { host: config.host, port },
    adminAddress: adminListener.address,
    supervisor,
    storageThread,
    dirty: () => l1.dirty(),
    reopenLogs: () => telemetry?.reopenFiles(),
    stop: () => keepingAlive(stop),
  };
}

/** Keeps the event loop alive while a function runs: it may wait for other threads, or for timers that do not. */
async function keepingAlive<T>(run: () => Promise<T>): Promise<T> {
  const timer = setInterval(() => {}, 1000);
  try {
    return await run();
  } finally {
    clearInterval(timer);
  }
}

/** Rejects with the signal's reason if it is aborted while `may` returns true; otherwise never settles. */
function rejectWhenAborted(signal: AbortSignal | undefined, may: () => boolean): Promise<never> {
  return new Promise((_resolve, reject) => {
    const onAbort = () => {
      if (may()) reject(signal?.reason);
    };
    if (signal?.aborted === true) onAbort();
    signal?.addEventListener("abort", onAbort, { once: true });
  });
}
