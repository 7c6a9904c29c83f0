import type { Access } from "../access/access.ts";
import { type Config, publicConfig } from "../config.ts";
import type { Clock } from "../core/clock.ts";
import type { TraceRequest } from "../core/trace_context.ts";
import type { Publish } from "../core/events.ts";
import type { EventMap } from "../events/catalogue.ts";
import type { OpenEvents } from "../events/live/wanted_events.ts";
import type { L1 } from "../l1/l1.ts";
import type { FolderLine } from "../l2/kind.ts";
import type { Runtime, Server } from "../runtime/runtime.ts";
import type { TierChanges } from "../storage/changes/tier_changes.ts";
import type { LossListeners } from "../storage/loss_listeners.ts";
import type { SharedKeys } from "../storage/shared/shared_keys.ts";
import { StorageManager } from "../storage/storage_manager.ts";
import { accessOptions } from "./access.ts";
import { composeReaders, composeTiers, storeLimitsOf } from "./tiers.ts";
import { requestTracer } from "../telemetry/request_tracer.ts";
import type { StorageOutage } from "./cluster/board.ts";
import { type App, createApp } from "../../routes/app.ts";

/** The parts of a thread that serves which differ between a single isolate and a worker. */
export interface ServerThreadOptions {
  readonly config: Config;
  readonly access: Access;
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
  readonly onTierRemoved: LossListeners["tier"];
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
  readonly listen: (options: { readonly port: number; readonly reusePort: boolean }) => ReturnType<Runtime["serve"]>;
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
    shared,
    patienceMs: config.l2TimeoutMs === 0 ? undefined : config.l2TimeoutMs,
  });
  const idleTimeoutSeconds = Math.ceil(config.idleTimeoutMs / 1000);
  const app = createApp({
    ...options,
    unready: () => options.unready(storage.trouble !== undefined),
    storage,
    sender: runtime.createSender({ idleTimeoutSeconds }),
    discard: runtime.discard,
    version: { version: options.version, runtime: runtimeName(runtime) },
    config: () => publicConfig(config),
    ...accessOptions(config),
    isAlive: () => true,
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
async function openTiers({ config, storageThread, ...listeners }: ServerThreadOptions) {
  if (storageThread === undefined) return { tiers: await composeTiers(config, listeners) };
  const { changes, line } = storageThread;
  return { tiers: await composeReaders(config, { ...listeners, line }), changes };
}

/** The runtime's name and version, e.g. "bun 1.4.5". */
export function runtimeName({ name, version }: Runtime): string {
  return `${name} ${version}`;
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

/** The state that decides about traffic. */
interface Unreadiness {
  /** True between the end of the start and the beginning of the stop. */
  readonly isServing: boolean;
  readonly storageOutage: StorageOutage | undefined;
  readonly hasTrouble: boolean;
}

/** The reason for refusing traffic, for /readyz; undefined if ready. */
export function unready({ isServing, storageOutage, hasTrouble }: Unreadiness): string | undefined {
  if (!isServing) return "starting or stopping";
  if (storageOutage === "gone") return "the storage thread has ended and is being started again";
  if (storageOutage !== undefined) return `the storage thread has been blocked for ${storageOutage.seconds} s`;
  return hasTrouble ? "a tier cannot be used" : undefined;
}

/** Options of a server. */
export interface ServerOptions {
  readonly config: Config;
  readonly version: string;
  /** Where the standard OTEL_* variables are looked up. */
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Called with failures that no response can report. */
  readonly reportError: (error: unknown) => void;
}

/** A running server. */
export interface RunningServer {
  readonly address: Server["address"];
  /** Finishes running requests, stores dirty objects and delivers published events. */
  stop(): Promise<void>;
}
