import { createApp } from "../routes/mod.ts";
import type { Config } from "./config.ts";
import { publicConfig } from "./config/public_config.ts";
import { systemClock } from "./core/clock.ts";
import { EventBus } from "./events/bus.ts";
import { noPublish } from "./events/no_publish.ts";
import { allocateArena } from "./l1/arena.ts";
import { L1Manager } from "./l1/l1_manager.ts";
import { openTiers } from "./l2/mod.ts";
import { currentRuntime } from "./runtime/mod.ts";
import type { Server } from "./runtime/types.ts";
import { StorageManager } from "./storage/storage_manager.ts";
import { metricsSubscribers } from "./subscribers/metrics/mod.ts";
import { initObservability } from "./telemetry/mod.ts";

/** How often L1 looks for expired leases and objects, and at its watermark. */
const TICK_MS = 200;

/** What a server is started with. */
export interface ServerOptions {
  readonly config: Config;
  readonly version: string;
  /** Where the standard OTEL_* variables are looked up. */
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Told of failures that no response can report. */
  readonly reportError: (error: unknown) => void;
}

/** A server that answers. */
export interface RunningServer {
  readonly address: Server["address"];
  /** Names of the tiers, "l1" first. */
  readonly tiers: readonly string[];
  /** Finishes running requests, stores what is queued, delivers what was published. */
  stop(): Promise<void>;
}

/** Composes L1, tiers, storage manager, event bus, telemetry and routes, and listens. Throws VitrineError if a tier cannot be opened. */
export async function startServer({ config, version, env, reportError }: ServerOptions): Promise<RunningServer> {
  const clock = systemClock;
  const startMs = clock.nowMs();
  const runtime = currentRuntime();
  const bus = config.observability ? new EventBus({ clock, queueSize: config.eventQueueEntries }) : undefined;
  const publish = bus?.publish ?? noPublish;
  const arena = allocateArena({
    sizeBytes: config.l1SizeBytes,
    maxObjects: config.l1MaxObjects,
    hashSeed: crypto.getRandomValues(new Uint32Array(1))[0] ?? 0,
  });
  const l1 = new L1Manager(arena, {
    holder: 1,
    clock,
    publish,
    policy: config.l1Policy,
    admissionLimitBytes: config.l1AdmissionLimitBytes,
    readLeaseMs: config.l1ReadLeaseMs,
    writeLeaseMs: config.l1WriteLeaseMs,
    highWatermark: config.l1HighWatermark,
    lowWatermark: config.l1LowWatermark,
    format: true,
  });
  const storage = new StorageManager({
    l1,
    tiers: await openTiers(config.l2, { publish, clock }),
    publish,
    clock,
    write: config.write,
    maxObjectBytes: config.maxObjectBytes,
    leaseMs: Math.min(config.l1ReadLeaseMs, config.l1WriteLeaseMs),
    storeQueue: { maxEntries: config.storeQueueEntries, maxBytes: config.storeQueueBytes },
    storeConcurrency: config.storeConcurrency,
  });
  const telemetry = bus === undefined
    ? undefined
    : await initObservability({ env, clock, version, instanceId: crypto.randomUUID() });

  let ready = true;
  const runtimeName = `${runtime.name} ${runtime.version}`;
  const idleTimeoutSeconds = Math.ceil(config.idleTimeoutMs / 1000);
  const app = createApp({
    storage,
    publish,
    clock,
    sender: runtime.createSender({ idleTimeoutSeconds }),
    version: { version, runtime: runtimeName },
    config: () => publicConfig(config),
    status: async () => ({
      version,
      runtime: runtimeName,
      uptime_seconds: (clock.nowMs() - startMs) / 1000,
      active_requests: app.activeRequests(),
      ...await storage.status(),
      ...(bus === undefined ? {} : { events: busStatus(bus) }),
    }),
    metricsText: async () => {
      await bus?.flush();
      return await telemetry?.prometheusText() ?? "# observability is off\n";
    },
    isAlive: () => true,
    isReady: () => ready,
    reportError,
  });
  if (bus !== undefined && telemetry !== undefined) {
    const subscribers = metricsSubscribers({
      source: telemetry,
      adapters: storage.tiers.slice(1),
      responses: app.responses,
      state: { l1: () => l1.usage(), storage: () => storage.status(), activeRequests: () => app.activeRequests() },
      busStats: () => bus.stats(),
      build: { version, runtime: runtimeName, startMs },
    });
    for (const subscriber of subscribers) bus.subscribe(subscriber);
  }
  const listener = runtime.serve({
    host: config.host,
    port: config.port,
    reusePort: false,
    idleTimeoutSeconds,
    fetch: (request, context) => app.fetch(request, context),
    onError: reportError,
  });
  const ticker = setInterval(() => l1.tick(), TICK_MS);
  return {
    address: listener.address,
    tiers: storage.tiers,
    async stop() {
      ready = false;
      await listener.stop();
      await storage.drain();
      clearInterval(ticker);
      await bus?.stop();
      await telemetry?.shutdown();
    },
  };
}

function busStatus(bus: EventBus): object {
  const { depth, lagSeconds, events } = bus.stats();
  return {
    queue_depth: depth,
    drain_lag_seconds: lagSeconds,
    by_type: Object.fromEntries([...events].filter(([, counts]) => counts.published > 0)),
  };
}
