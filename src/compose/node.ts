import { type App, createApp } from "../../routes/app.ts";
import type { Access } from "../access/access.ts";
import type { Config } from "../config.ts";
import { publicConfig } from "../config/public_config.ts";
import type { Clock } from "../core/clock.ts";
import type { Follow } from "../core/followed_request.ts";
import type { Publish } from "../core/publish.ts";
import type { EventMap } from "../events/catalogue.ts";
import type { OpenEvents } from "../events/live/wanted_events.ts";
import type { L1 } from "../l1/types.ts";
import type { FolderOwner } from "../l2/kind.ts";
import type { Runtime } from "../runtime/types.ts";
import type { TierChanges } from "../storage/changes/tier_changes.ts";
import type { LossListeners } from "../storage/loss_listeners.ts";
import type { SharedKeys } from "../storage/shared/shared_keys.ts";
import { StorageManager } from "../storage/storage_manager.ts";
import { accessOptions } from "./access_options.ts";
import { composeTiers } from "./tiers.ts";

/** What a node is made of: all that differs between a single isolate and a worker. */
export interface NodeOptions {
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
  /** Why traffic may not come; undefined: it may. `hasTrouble`: a tier of this node cannot be used. */
  readonly unready: (hasTrouble: boolean) => string | undefined;
  /** This thread's part in what workers share. */
  readonly shared: SharedKeys;
  readonly onTierRemoved: LossListeners["tier"];
  /** Who owns the folders of file tiers (default: this thread). */
  readonly folders?: FolderOwner | undefined;
  /** The owner of the tiers, if it is another thread. */
  readonly changes?: TierChanges | undefined;
  readonly onActiveRequests?: (count: number) => void;
  readonly reportError: (error: unknown) => void;
  /** Decides which requests' events carry details. */
  readonly follow?: Follow | undefined;
}

/** One thread's storage and routes. */
export interface Node {
  readonly storage: StorageManager;
  readonly app: App;
  /** Listens; workers share the port. */
  readonly listen: (options: { readonly port: number; readonly reusePort: boolean }) => ReturnType<Runtime["serve"]>;
}

/**
 * Puts one thread's part of a server together: tiers, storage manager, routes. Throws VitrineError if a tier cannot be
 * opened.
 */
export async function composeNode(options: NodeOptions): Promise<Node> {
  const { config, publish, clock, runtime, l1, shared } = options;
  const storage = new StorageManager({
    l1,
    tiers: await composeTiers(config, {
      publish,
      clock,
      onTierRemoved: options.onTierRemoved,
      folders: options.folders,
    }),
    publish,
    clock,
    write: config.write,
    maxObjectBytes: config.maxObjectBytes,
    leaseMs: Math.min(config.l1ReadLeaseMs, config.l1WriteLeaseMs),
    storeQueue: { maxEntries: config.storeQueueEntries, maxBytes: config.storeQueueBytes },
    storeConcurrency: config.storeConcurrency,
    shared,
    changes: options.changes,
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

/** The runtime as it is shown, e.g. "bun 1.4.5". */
export function runtimeName({ name, version }: Runtime): string {
  return `${name} ${version}`;
}
