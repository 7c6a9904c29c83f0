import { createAdminApp } from "../../routes/mod.ts";
import { publicConfig } from "../config/public_config.ts";
import { systemClock } from "../core/clock.ts";
import { CollectorHub } from "../events/channel/collector_hub.ts";
import { CounterRow } from "../events/ledger/counter_row.ts";
import { noPublish } from "../events/no_publish.ts";
import { freePort } from "../runtime/free_port.ts";
import { currentRuntime } from "../runtime/mod.ts";
import { startThread } from "../runtime/thread.ts";
import { lossListeners } from "../storage/loss_listeners.ts";
import { GhostIndex } from "../storage/shared/ghost_index.ts";
import { allocateSharedKeys } from "../storage/shared/memory.ts";
import { releaseSeat } from "../storage/shared/release_seat.ts";
import { Board } from "./cluster/board.ts";
import { ClusterStorage } from "./cluster/cluster_storage.ts";
import { EventRelay } from "./cluster/event_relay.ts";
import { allocateL1, openL1 } from "./l1.ts";
import { liveEvents } from "./live_events.ts";
import { runtimeName } from "./node.ts";
import { busStatus, OBSERVABILITY_OFF } from "./observe.ts";
import { QUESTION } from "./cluster/questions.ts";
import type { RunningServer, ServerOptions } from "./server.ts";
import { openTelemetry } from "./telemetry.ts";
import { type FromWorker, type Seat, Supervisor, type ToWorker } from "./cluster/supervisor.ts";
import { producerOf, type WorkerData } from "./cluster/worker_data.ts";

/** Main's own number among the threads that share L1. */
const MAIN_HOLDER = 1;
/** How long a scrape waits for the workers' events. */
const FLUSH_MS = 500;

/** A cluster also answers on its admin port. */
export interface RunningCluster extends RunningServer {
  readonly adminAddress: RunningServer["address"];
  readonly supervisor: Pick<Supervisor, "kill" | "status">;
}

/**
 * Starts the workers and, in this thread, the supervisor and the collector: the OTel SDK, its subscribers, the admin port. All or nothing.
 * Throws StartFailure with what a worker said, or the system's error if a port is taken.
 */
export async function startCluster({ config, version, env, reportError }: ServerOptions): Promise<RunningCluster> {
  const clock = systemClock;
  const { wallMs: startMs, monotonicMs: startedMs } = clock.read();
  const runtime = currentRuntime();
  const build = { version, runtime: runtimeName(runtime), startMs };
  const [port, adminPort] = await Promise.all([
    freePort(config.host, config.port),
    freePort(config.host, config.adminPort),
  ]);
  const board = new Board(config.workers);
  const arena = allocateL1(config);
  const sharedKeys = allocateSharedKeys({
    places: config.workers,
    hashSeed: crypto.getRandomValues(new Uint32Array(1))[0] ?? 0,
  });
  const channelName = `vitrine-${crypto.randomUUID()}`;
  const hub = new CollectorHub({
    channelName,
    clock,
    // Traffic may come before the subscribers are there: not an event of it is missed.
    holdInterest: true,
    answers: {
      [QUESTION.metrics]: () => metricsText(),
      [QUESTION.status]: async () => JSON.stringify(await status()),
    },
  });
  const publish = config.observability ? hub.publish : noPublish;
  const ghosts = new GhostIndex(sharedKeys);
  const l1 = openL1(arena, { config, holder: MAIN_HOLDER, clock, publish, onRemoved: lossListeners(ghosts, clock).l1 });
  const live = liveEvents(config, config.observability ? hub : undefined);
  const relay = new EventRelay(live.open);
  const stuck = new Set<Seat>();

  const supervisor = new Supervisor({
    workers: config.workers,
    board,
    timeoutMs: config.workerTimeoutMs,
    nowMs: () => performance.now(),
    every: (ms, callback) => {
      const timer = setInterval(callback, ms);
      return () => clearInterval(timer);
    },
    after: (ms, callback) => void setTimeout(callback, ms),
    spawn(seat, events) {
      const producer = producerOf(seat);
      const countersRow = CounterRow.allocate();
      hub.addProducer(producer, countersRow);
      const data: WorkerData = {
        config,
        version,
        env: otelOf(env),
        seat,
        clock: clock.read(),
        port,
        arena,
        sharedKeys,
        board: board.buffer,
        channelName,
        producer,
        countersRow,
        relay: { host: config.host, port: adminPort, key: relay.admit(seat.holder) },
      };
      const url = new URL("./cluster/worker.ts", import.meta.url);
      return startThread<ToWorker, FromWorker>(url, data, {
        ...events,
        onError(error) {
          reportError(error);
          events.onError(error);
        },
      });
    },
    onReady: ({ place }) => publish("worker.started", { place: String(place) }),
    async onGone(seat, cause) {
      publish("worker.gone", { place: String(seat.place), cause });
      const stillRuns = cause === "hung" && !runtime.stopsThreads;
      if (stillRuns) stuck.add(seat);
      relay.gone(seat.holder);
      await l1.takeOver(seat.holder, { stillRuns });
      releaseSeat(sharedKeys, { dead: seat, holder: MAIN_HOLDER });
      await hub.producerGone(producerOf(seat));
    },
  });
  const storage = new ClusterStorage({ hub, supervisor, l1, ghosts });

  let asked: ReturnType<typeof storage.status> | undefined;

  async function metricsText(): Promise<string> {
    // Events and state both wait for the workers' event loops: at the same time, not one after the other.
    const mine = asked = storage.status();
    try {
      await hub.flush(FLUSH_MS);
      return await telemetry?.prometheusText() ?? OBSERVABILITY_OFF;
    } finally {
      if (asked === mine) asked = undefined;
    }
  }

  async function status(): Promise<object> {
    const workers = supervisor.status();
    return {
      version,
      runtime: build.runtime,
      uptime_seconds: (clock.monotonicMs() - startedMs) / 1000,
      active_requests: activeRequests(),
      workers,
      worker_restarts: supervisor.restarts,
      event_streams: live.streams(),
      ...await storage.status(),
      events: busStatus(hub.stats()),
    };
  }

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
    adminToken: config.adminToken,
    isAlive: () => stuck.size === 0,
    isReady: () => board.isReady,
    reportError,
  });
  const [opening, starting] = await Promise.allSettled([
    config.observability
      ? openTelemetry({ config, env, clock, version, instanceId: crypto.randomUUID() })
      : Promise.resolve(undefined),
    supervisor.start(),
  ]);
  if (opening.status === "rejected" || starting.status === "rejected") {
    if (starting.status === "fulfilled") await supervisor.stop();
    await hub.stop();
    throw starting.status === "rejected" ? starting.reason : opening.status === "rejected" && opening.reason;
  }
  const telemetry = opening.value;
  const { tiers, responses } = starting.value;
  telemetry?.subscribe(hub, {
    adapters: tiers.slice(1),
    responses,
    state: {
      l1: () => l1.usage(),
      storage: () => asked ?? storage.status(),
      activeRequests,
      workers: () => supervisor.status().map(({ state }) => state),
    },
    busStats: () => hub.stats(),
    build,
  });
  hub.tellInterest();
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
    async stop() {
      board.isReady = false;
      live.close();
      await supervisor.stop();
      await adminListener.stop();
      await hub.stop();
      await telemetry?.shutdown();
    },
  };
}

/** The standard variables alone: a worker needs no others. */
function otelOf(env: ServerOptions["env"]): ServerOptions["env"] {
  return Object.fromEntries(Object.entries(env).filter(([name]) => name.startsWith("OTEL_")));
}
