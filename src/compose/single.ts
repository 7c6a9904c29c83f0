import { systemClock } from "../core/clock.ts";
import { EventBus } from "../events/bus.ts";
import { noPublish } from "../events/producer.ts";
import { currentRuntime } from "../runtime/mod.ts";
import { allocateSharedKeys } from "../storage/shared/memory.ts";
import { removalListeners } from "../storage/shared/removal_history.ts";
import { lmcacheStatus } from "../storage/lmcache_status.ts";
import { SharedKeys } from "../storage/shared/shared_keys.ts";
import { openAccess, openLimits } from "./access.ts";
import { type RunningServer, runtimeName, type ServerOptions, unready } from "./server.ts";
import { composeServerThread, requestTracerOf } from "./server_thread.ts";
import { busStatus, liveEvents, OBSERVABILITY_OFF, openTelemetry } from "./telemetry.ts";
import { allocateL1, loadQuotas, openL1, TICK_MS } from "./l1.ts";

/** Starts a server in one isolate, which serves requests and collects events. */
export async function startSingle({ config, version, env, reportError }: ServerOptions): Promise<RunningServer> {
  const clock = systemClock;
  const { wallMs: startMs, monotonicMs: startedMs } = clock.read();
  const runtime = currentRuntime();
  const bus = config.observability ? new EventBus({ clock, queueSize: config.eventQueueEntries }) : undefined;
  const publish = bus?.publish ?? noPublish;
  const opened = await openAccess(config, { publish, clock, slots: 1, reportError });
  opened.watch();
  const hashSeed = crypto.getRandomValues(new Uint32Array(1))[0] ?? 0;
  const shared = new SharedKeys(allocateSharedKeys({ hashSeed, prefetchJobs: config.prefetchJobs }, "private"), 1);
  const losses = removalListeners(shared.history, clock);
  const l1 = openL1(allocateL1(config), { config, workerId: 1, clock, publish, onRemoved: losses.l1 });
  await loadQuotas(config, l1);
  const telemetry = bus === undefined
    ? undefined
    : await openTelemetry({ config, env, clock, version, instanceId: crypto.randomUUID() });
  const events = liveEvents(config, bus);
  let ready = true;
  const { storage, app, listen } = await composeServerThread({
    config,
    access: opened.access,
    limits: openLimits(config, { memory: opened.shared().limits, slot: 0, clock }),
    version,
    runtime,
    clock,
    publish,
    l1,
    shared,
    onTierRemoved: losses.tier,
    reportError,
    follow: requestTracerOf(config, env),
    events: events.open,
    unready: (hasTrouble) => unready({ isServing: ready, outage: undefined, hasTrouble }),
    status: async () => {
      const status = await storage.status();
      return {
        version,
        runtime: runtimeName(runtime),
        uptime_seconds: (clock.monotonicMs() - startedMs) / 1000,
        active_requests: app.activeRequests(),
        event_streams: events.streams(),
        ...status,
        ...lmcacheStatus(status, { policy: config.l1Policy, isHealthy: ready && storage.trouble === undefined }),
        ...(bus === undefined ? {} : { events: busStatus(bus.stats()) }),
      };
    },
    metricsText: async () => {
      await bus?.flush();
      return await telemetry?.prometheusText() ?? OBSERVABILITY_OFF;
    },
  });
  if (bus !== undefined) {
    telemetry?.subscribe(bus, {
      adapters: storage.tiers.slice(1),
      state: {
        l1: () => l1.usage(),
        storage: () => storage.status(),
        quotas: () => l1.quotas(),
        activeRequests: () => app.activeRequests(),
        prefetchJobs: () => shared.jobs.running,
        workers: () => [],
        storageThreadStuckSeconds: () => ({ storage: 0, file: 0 }),
      },
      busStats: () => bus.settledStats(),
      build: { version, runtime: runtimeName(runtime), startMs },
    });
  }
  const listener = listen({ port: config.port, reusePort: false });
  const ticker = setInterval(() => l1.tick(), TICK_MS);
  return {
    address: listener.address,
    async stop() {
      ready = false;
      events.close();
      opened.close();
      await listener.stop();
      await storage.drain();
      clearInterval(ticker);
      await bus?.stop();
      await telemetry?.shutdown();
    },
  };
}
