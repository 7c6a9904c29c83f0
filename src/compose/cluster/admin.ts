import { createAdminApp } from "../../../routes/admin_app.ts";
import type { App } from "../../../routes/app.ts";
import { publicConfig } from "../../config.ts";
import type { Clock } from "../../core/clock.ts";
import { shareRuns } from "../../core/coalesce.ts";
import type { Publish } from "../../core/events.ts";
import type { EventBus } from "../../events/bus.ts";
import type { EventMap } from "../../events/catalogue.ts";
import { lmcacheStatus } from "../../storage/lmcache_status.ts";
import type { Build } from "../../subscribers/metrics/metric.ts";
import { accessOptions, type OpenAccess } from "../access.ts";
import { type ServerOptions, unready } from "../server.ts";
import { busStatus, type LiveEvents, OBSERVABILITY_OFF } from "../telemetry.ts";
import type { Board } from "./board.ts";
import type { ClusterStorage } from "./storage_reports.ts";
import type { ClusterThreads } from "./threads.ts";

/** The parts of a cluster that its admin port shows. */
export interface AdminParts extends Omit<ServerOptions, "env"> {
  readonly clock: Clock;
  readonly build: Build;
  /** By the monotonic clock. */
  readonly startedMs: number;
  readonly publish: Publish<EventMap>;
  readonly bus: EventBus;
  readonly board: Board;
  readonly threads: ClusterThreads;
  readonly storage: ClusterStorage;
  readonly live: LiveEvents;
  readonly access: OpenAccess;
  /** All metrics in the Prometheus text format; undefined if there are none. */
  readonly prometheusText: () => Promise<string | undefined>;
}

/** The admin port's routes, and the answers that workers pass on. */
export interface ClusterAdmin {
  readonly app: App;
  /** Requests in progress on all ports. */
  activeRequests(): number;
  status(): Promise<object>;
  metricsText(): Promise<string>;
}

/**
 * Makes the routes of the admin port. /status and /metrics read shared memory and wait for no thread; however many
 * clients ask at once, on all ports, one answer is made at a time.
 */
export function clusterAdmin(parts: AdminParts): ClusterAdmin {
  const { config, version, clock, build, bus, board, threads, live, reportError } = parts;
  const { supervisor, tierThreads: { storage: storageThread, file: fileThread } } = threads;

  const activeRequests = () =>
    supervisor.status().reduce((sum, worker) => sum + worker.activeRequests, app.activeRequests());

  const reasonUnready = () =>
    unready({
      isServing: board.isReady,
      outage: board.outage,
      hasTrouble: supervisor.status().some(({ slot }) => board.isInTrouble(slot)),
    });

  const metricsText = shareRuns(async () => {
    await bus.flush();
    return await parts.prometheusText() ?? OBSERVABILITY_OFF;
  });

  const status = shareRuns(async (): Promise<object> => {
    await bus.flush();
    const storage = parts.storage.status();
    return {
      version,
      runtime: build.runtime,
      uptime_seconds: (clock.monotonicMs() - parts.startedMs) / 1000,
      active_requests: activeRequests(),
      workers: supervisor.status(),
      worker_restarts: supervisor.restarts,
      storage_thread: storageThread?.status(),
      file_thread: fileThread?.status(),
      event_streams: live.streams(),
      ...storage,
      ...lmcacheStatus(storage, { policy: config.l1Policy, isHealthy: reasonUnready() === undefined }),
      events: busStatus(bus.stats()),
    };
  });

  const app = createAdminApp({
    publish: parts.publish,
    clock,
    version: { version, runtime: build.runtime },
    config: () => publicConfig(config),
    status,
    metricsText,
    events: live.open,
    access: parts.access.access,
    ...accessOptions(config),
    isAlive: () => supervisor.status().every(({ state }) => state !== "stuck"),
    unready: reasonUnready,
    reportError,
  });
  return { app, activeRequests, status, metricsText };
}
