import type { App } from "../../routes/app.ts";
import { createApp } from "../../routes/service_app.ts";
import type { Access } from "../access/access.ts";
import type { Limits } from "../access/limits.ts";
import { type Config, publicConfig } from "../config.ts";
import { type Clock, every } from "../core/clock.ts";
import type { Publish, TraceRequest } from "../core/events.ts";
import { TransferWatch } from "../core/watchdog.ts";
import type { EventMap } from "../events/catalogue.ts";
import type { OpenEvents } from "../events/live/live_listener.ts";
import type { L1 } from "../l1/l1.ts";
import type { FolderLine } from "../l2/url.ts";
import type { Runtime, ServeOptions, Server } from "../runtime/runtime.ts";
import type { TierChanges } from "../storage/changes/tier_changes.ts";
import type { RemovalListeners } from "../storage/shared/removal_history.ts";
import type { SharedKeys } from "../storage/shared/shared_keys.ts";
import { TenantQuotas } from "../storage/quotas.ts";
import { StorageManager } from "../storage/storage_manager.ts";
import { systemTimers } from "../storage/timers.ts";
import { requestTracer } from "../telemetry/request_tracer.ts";
import { accessOptions } from "./access.ts";
import { quotaFileOf } from "./l1.ts";
import { runtimeName } from "./server.ts";
import { composeReaders, composeTiers, storeLimitsOf } from "./tiers.ts";

/** The parts of a thread that serves which differ between a single isolate and a worker. */
export interface ServerThreadOptions {
  readonly config: Config;
  readonly access: Access;
  readonly limits: Limits | undefined;
  readonly version: string;
  readonly runtime: Runtime;
  readonly clock: Clock;
  readonly publish: Publish<EventMap>;
  readonly l1: L1;
  readonly status: () => Promise<object>;
  readonly metricsText: () => Promise<string>;
  readonly events: OpenEvents;
  /** The reason for refusing traffic, for /readyz; undefined if ready. `hasTrouble`: a tier cannot be used. */
  readonly unready: (hasTrouble: boolean) => string | undefined;
  /** This thread's view of the state that workers share. */
  readonly shared: SharedKeys;
  readonly onTierRemoved: RemovalListeners["tier"];
  /** The storage thread, if it owns the tiers; default: this thread does. */
  readonly storageThread?: { readonly changes: TierChanges; readonly line: FolderLine } | undefined;
  readonly onActiveRequests?: (count: number) => void;
  readonly reportError: (error: unknown) => void;
  /** Decides which requests' events carry details. */
  readonly follow?: TraceRequest | undefined;
}

/** One thread's storage and routes. */
export interface ServerThread {
  readonly storage: StorageManager;
  readonly app: App;
  /** Starts to listen; workers share the port. */
  readonly listen: (options: Pick<ServeOptions, "port" | "reusePort" | "certificate">) => Server;
}

/**
 * Puts one thread's part of a server together: tiers, storage manager, routes. Throws VitrineError if a tier cannot be
 * opened.
 */
export async function composeServerThread(options: ServerThreadOptions): Promise<ServerThread> {
  const { config, publish, clock, runtime, l1, shared } = options;
  const storage = new StorageManager({
    l1,
    ...await openTiers(options),
    publish,
    clock,
    write: config.write,
    maxObjectBytes: config.maxObjectBytes,
    leaseMs: Math.min(config.l1ReadLeaseMs, config.l1WriteLeaseMs),
    storeQueue: storeLimitsOf(config),
    storeConcurrency: config.storeConcurrency,
    prefetchLoads: config.prefetchLoads,
    shared,
    patienceMs: config.l2TimeoutMs === 0 ? undefined : config.l2TimeoutMs,
  });
  const quotas = new TenantQuotas({ l1, publish, file: quotaFileOf(config), turn: () => systemTimers.turn() });
  // A worker that died while it wrote the file may have left an older one.
  void quotas.keep().catch(options.reportError);
  const idleTimeoutSeconds = Math.ceil(config.idleTimeoutMs / 1000);
  const transferWatch = config.transferTimeoutMs === 0 ? undefined : new TransferWatch({
    timeoutMs: config.transferTimeoutMs,
    nowMs: () => clock.monotonicMs(),
    every,
  });
  const app = createApp({
    ...options,
    transferWatch,
    unready: () => options.unready(storage.trouble !== undefined),
    storage,
    quotas,
    sender: runtime.createSender({ idleTimeoutSeconds, transferWatch, sizedBodyBytes: config.sizedBodyBytes }),
    discard: runtime.discard,
    version: { version: options.version, runtime: runtimeName(runtime) },
    config: () => publicConfig(config),
    ...accessOptions(config),
    s3: { hosts: config.s3Hosts, md5: config.s3Md5 },
    isAlive: () => true,
    servers: { own: shared.serverId, behind: () => storage.serversBehind },
  });
  return {
    storage,
    app,
    listen: (listen) =>
      runtime.serve({
        ...listen,
        host: config.host,
        idleTimeoutSeconds,
        exactPaths: app.exactPaths,
        fetch: app.fetch,
        endlessRequests: () => app.endlessRequests(),
        onError: options.reportError,
      }),
  };
}

/** Opens the tiers for their owner, or for a thread that only reads. */
async function openTiers({ config, storageThread, ...options }: ServerThreadOptions) {
  const listeners = { ...options, serverId: options.shared.serverId };
  if (storageThread === undefined) return { tiers: await composeTiers(config, listeners) };
  const { changes, line } = storageThread;
  return { tiers: await composeReaders(config, { ...listeners, line }), changes };
}

/** Decides which requests are traced; undefined if none ever is. */
export function requestTracerOf(
  config: Config,
  env: Readonly<Record<string, string | undefined>>,
): TraceRequest | undefined {
  if (!config.observability) return undefined;
  return requestTracer({
    env,
    everyRequest: config.requestLogPath !== undefined || config.logLevel === "debug",
  });
}
