import { lookup } from "node:dns/promises";
import { once } from "node:events";
import { createServer } from "node:net";
import type { Config } from "../config.ts";
import { ConfigError } from "../config/setting_sources.ts";
import { systemClock } from "../core/clock.ts";
import { causeText } from "../core/errors.ts";
import { EventBus } from "../events/bus.ts";
import { noPublish } from "../events/producer.ts";
import { currentRuntime } from "../runtime/mod.ts";
import type { ServeOptions } from "../runtime/runtime.ts";
import { allocateSharedKeys } from "../storage/shared/memory.ts";
import { runningJobs } from "../storage/shared/prefetch_jobs.ts";
import { RemovalHistory, removalListeners } from "../storage/shared/removal_history.ts";
import { openAccess } from "./access.ts";
import { openCertificate, RenewableListener } from "./certificate.ts";
import { clusterAdmin } from "./cluster/admin.ts";
import { Board } from "./cluster/board.ts";
import { Relay } from "./cluster/relay.ts";
import { ClusterStorage } from "./cluster/storage_reports.ts";
import type { Supervisor } from "./cluster/supervisor.ts";
import { ClusterThreads } from "./cluster/threads.ts";
import type { TierThread } from "./cluster/tier_thread.ts";
import { type RunningServer, runtimeName, type ServerOptions } from "./server.ts";
import type { ObjectAmount, StopResult } from "./stopper.ts";
import { checkRequestLog, liveEvents, openTelemetry, type Telemetry } from "./telemetry.ts";
import { allocateL1, loadQuotas, openL1 } from "./l1.ts";

/** Main's own number among the threads that share L1. */
const MAIN_WORKER_ID = 1;
const LOOPBACK = "127.0.0.1";
/** Milliseconds in which the admin port's running requests may finish at a stop. */
const ADMIN_PATIENCE_MS = 1000;

/** A cluster also answers on its admin port. */
export interface RunningCluster extends Omit<RunningServer, "stop"> {
  readonly adminAddress: RunningServer["address"];
  readonly supervisor: Pick<Supervisor, "kill" | "status">;
  /** Undefined if no tier needs one. */
  readonly storageThread: Pick<TierThread, "kill" | "status"> | undefined;
  /** Undefined where the storage thread owns the folders, or where there are none. */
  readonly fileThread: Pick<TierThread, "kill" | "status"> | undefined;
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
  readonly signal?: AbortSignal;
}

/**
 * Starts the workers and, in this thread, the supervisor and the collector: the OTel SDK, its subscribers, the admin
 * port. All or nothing. Throws StartFailure with a worker's message, or the system's error if a port is taken.
 */
export async function startCluster(options: ClusterOptions): Promise<RunningCluster> {
  const { config, version, env, reportError, signal } = options;
  const clock = systemClock;
  const { wallMs: startMs, monotonicMs: startedMs } = clock.read();
  const runtime = currentRuntime();
  const build = { version, runtime: runtimeName(runtime), startMs };

  const busName = `vitrine-${crypto.randomUUID()}`;
  const onException = (name: string, cause: unknown) => reportError(new Error(`call subscriber: ${name}`, { cause }));
  // Traffic may come before the subscribers exist; held, the bus misses no event of it.
  const bus = new EventBus({ name: busName, clock, held: true, onException });
  const publish = config.observability ? bus.publish : noPublish;

  // One slot more than there are workers, for the replacement of one that hangs.
  const slots = config.workers + 1;
  const access = await openAccess(config, { publish, clock, slots, reportError });
  const certificate = await openCertificate(config, { publish, reportError });
  const [port, adminPort] = await findPorts(config);
  // Workers reach main without TLS, because they could not check its certificate under the name they use.
  const hasTls = certificate.current() !== undefined;
  const relayAddress = hasTls
    ? { host: LOOPBACK, port: await freePort(LOOPBACK, 0) }
    : { host: config.host, port: adminPort };
  if (config.observability) checkRequestLog(config);

  const board = new Board(slots);
  const arena = allocateL1(config);
  const hashSeed = crypto.getRandomValues(new Uint32Array(1))[0] ?? 0;
  const sharedKeys = allocateSharedKeys({ hashSeed, prefetchJobs: config.prefetchJobs });
  const history = new RemovalHistory(sharedKeys);
  const l1 = openL1(arena, {
    config,
    workerId: MAIN_WORKER_ID,
    clock,
    publish,
    onRemoved: removalListeners(history, clock).l1,
  });

  await loadQuotas(config, l1);
  const live = liveEvents(config, config.observability ? bus : undefined);
  const relay = new Relay({ events: live.open, metrics: () => admin.metricsText(), status: () => admin.status() });
  const threads = new ClusterThreads({
    ...{ config, version, env, reportError, clock, publish, port, relayAddress, slots },
    ...{ board, arena, sharedKeys, l1, bus, busName, access, certificate, relay },
    stopsThreads: runtime.stopsThreads,
  });
  const { supervisor, tierThreads: { storage: storageThread, file: fileThread } } = threads;
  const storage = new ClusterStorage({ supervisor, board, l1, history, clock, reports: () => threads.reports() });
  let telemetry: Telemetry | undefined = undefined;
  const admin = clusterAdmin({
    ...{ config, version, reportError, clock, build, startedMs, publish, bus, board, threads, storage, live, access },
    prometheusText: async () => await telemetry?.prometheusText(),
  });

  const [starting, opening] = await Promise.race([
    Promise.allSettled([
      threads.start(),
      config.observability
        ? openTelemetry({ config, env, clock, version, instanceId: crypto.randomUUID() })
        : Promise.resolve(undefined),
    ]),
    rejectWhenAborted(signal, () => !board.hasServed),
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
      quotas: () => l1.quotas(),
      activeRequests: () => admin.activeRequests(),
      prefetchJobs: () => runningJobs(sharedKeys),
      workers: () => supervisor.status().map(({ state }) => state),
      storageThreadStuckSeconds: () => ({
        storage: storageThread?.status().stuckSeconds ?? 0,
        file: fileThread?.status().stuckSeconds ?? 0,
      }),
    },
    busStats: () => bus.settledStats(),
    build,
  });
  bus.begin();
  access.watch((tokens) => supervisor.postAll({ kind: "tokens", tokens }));
  const listen = (options: Pick<ServeOptions, "host" | "port" | "reusePort" | "certificate" | "fetch">) =>
    runtime.serve({
      ...options,
      idleTimeoutSeconds: 60,
      endlessRequests: () => admin.app.endlessRequests(),
      onError: reportError,
    });
  const relayListener = hasTls
    ? listen({
      ...relayAddress,
      reusePort: false,
      fetch: (request) => relay.answer(request) ?? new Response(null, { status: 404 }),
    })
    : undefined;
  const adminListener = new RenewableListener(
    (certificate) =>
      listen({
        host: config.host,
        port: adminPort,
        reusePort: hasTls,
        certificate,
        fetch: (request, context) => relay.answer(request) ?? admin.app.fetch(request, context),
      }),
    certificate.current(),
  );
  certificate.watch((renewed) => {
    adminListener.renew(renewed);
    supervisor.postAll({ kind: "certificate", certificate: renewed });
  });
  board.isReady = true;

  async function stop(): Promise<StopResult> {
    const beganMs = performance.now();
    board.isReady = false;
    live.close();
    access.close();
    certificate.close();
    const dirtyBefore = l1.dirty();
    const { stored, ...stopped } = await threads.stop(config.shutdownTimeoutMs);
    await adminListener.stop({ patienceMs: ADMIN_PATIENCE_MS });
    await relayListener?.stop({ patienceMs: ADMIN_PATIENCE_MS });
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
    fileThread,
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

/** The system's error codes for an address of another machine. */
const NOT_HERE: ReadonlySet<unknown> = new Set(["EADDRNOTAVAIL", "EINVAL"]);

/**
 * Finds the service port and the admin port; 0 stands for any free port. Throws ConfigError for an invalid host, and an
 * error with the setting's name if a port is not available.
 */
export async function findPorts(
  { host, port, adminPort }: Pick<Config, "host" | "port" | "adminPort">,
): Promise<readonly [port: number, adminPort: number]> {
  try {
    await lookup(host);
  } catch (cause) {
    throw new ConfigError(`bad value for --host: "${host}", no such host (${causeText(cause)})`, { cause });
  }
  return await Promise.all([find("--port", host, port), find("--admin-port", host, adminPort)]);
}

async function find(flag: string, host: string, port: number): Promise<number> {
  try {
    return await freePort(host, port);
  } catch (cause) {
    if (cause instanceof Error && "code" in cause && NOT_HERE.has(cause.code)) {
      throw new ConfigError(`bad value for --host: "${host}", no address of this machine (${cause.message})`, {
        cause,
      });
    }
    throw new Error(`listen on ${host}, ${flag} ${port}: ${causeText(cause)}`, { cause });
  }
}

/**
 * Finds a port that workers can share; 0 picks a free one. Throws EADDRINUSE if the port is in use. Workers would not
 * notice that themselves: another process that shares the port would silently get part of the connections.
 */
export async function freePort(host: string, port: number): Promise<number> {
  const probe = createServer().listen({ host, port, exclusive: true });
  await once(probe, "listening");
  const address = probe.address();
  probe.close();
  await once(probe, "close");
  if (address === null || typeof address === "string") throw new Error(`find a free port: ${port}`);
  return address.port;
}
