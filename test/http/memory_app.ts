import type { App } from "../../routes/app.ts";
import { createApp } from "../../routes/service_app.ts";
import { EventBus } from "../../src/events/bus.ts";
import { openEventsOf } from "../../src/events/live/event_stream.ts";
import { LiveFeed } from "../../src/events/live/live_feed.ts";
import { Access } from "../../src/access/access.ts";
import { type FailureMemory, FailureTable } from "../../src/access/failure_table.ts";
import type { TokenEntry } from "../../src/access/tokens.ts";
import type { AppOptions, S3Host, Sender } from "../../routes/app_options.ts";
import { MemoryStorage, type MemoryStorageKnobs } from "../support/memory_storage.ts";
import { type ContractFixture, EventRecorder } from "./contract_client.ts";
import { TenantQuotas } from "../../src/storage/quotas.ts";
import { makeL1 } from "../l1/support.ts";
import { unrefTimer } from "../../src/core/clock.ts";

const MIB = 1024 * 1024;

/** An app over a MemoryStorage and all that a test may turn. */
export interface MemoryApp {
  readonly app: App;
  readonly access: Access;
  readonly storage: MemoryStorage;
  readonly knobs: MemoryStorageKnobs;
  /** Errors that became a 500. */
  readonly errors: unknown[];
  readonly events: EventRecorder;
  /** What its event streams come from. */
  readonly feed: LiveFeed;
  /** The fixture of the contract, given a way to send requests. */
  readonly fixture: (options: Pick<ContractFixture, "fetch" | "overSockets">) => ContractFixture;
}

/** The app of the HTTP tests; its clock moves only when it is advanced. */
export function memoryApp(
  sender: Sender,
  {
    allowedHosts = ["*"],
    corsOrigins = [],
    metricsAreOpen = false,
    tokens,
    s3Key,
    s3Hosts = [],
    s3Md5 = true,
    failures = FailureTable.allocate(1),
    limits,
    transferWatch,
    clientAddress,
    serversBehind = [],
  }: Pick<AppOptions, "limits" | "transferWatch" | "clientAddress"> & {
    readonly allowedHosts?: readonly string[];
    readonly corsOrigins?: readonly string[];
    readonly metricsAreOpen?: boolean;
    readonly tokens?: readonly TokenEntry[];
    readonly s3Key?: string;
    readonly s3Hosts?: readonly S3Host[];
    readonly s3Md5?: boolean;
    readonly failures?: FailureMemory;
    readonly serversBehind?: readonly string[];
  } = {},
): MemoryApp {
  let nowMs = 1_800_000_000_000;
  let ready = true;
  const events = new EventRecorder();
  const bus = new EventBus({ notifyAfterMs: 0 });
  const feed = new LiveFeed({ source: bus, schedule: unrefTimer, nonce: "memory" });
  const errors: unknown[] = [];
  const knobs: MemoryStorageKnobs = {
    clock: { nowMs: () => nowMs, monotonicMs: () => nowMs },
    maxObjectBytes: 6 * MIB,
    l1LimitBytes: 4 * MIB,
  };
  const storage = new MemoryStorage(knobs);
  const access = new Access(tokens, new FailureTable(failures, knobs.clock), { s3Key });
  const app = createApp({
    storage,
    quotas: new TenantQuotas({
      l1: makeL1({}, { sharing: "private" }).l1,
      file: undefined,
      publish: (name, fields) => events.publish(name, fields),
      turn: () => Promise.resolve(),
    }),
    sender,
    publish(name, fields) {
      events.publish(name, fields);
      bus.publish(name, fields);
    },
    events: openEventsOf(feed, { schedule: unrefTimer, heartbeatMs: 15_000 }),
    clock: knobs.clock,
    version: { version: "0.0.0-test" },
    config: () => ({ port: 0 }),
    status: async () => ({ storage: await storage.status() }),
    metricsText: async () =>
      "# HELP up Whether it is.\n# TYPE up gauge\nup 1\n# HELP up_total All.\n# TYPE up_total counter\nup_total 2\n",
    // What is read of a chunk later is wrong bytes.
    discard: (chunk) => void chunk.fill(0),
    allowedHosts,
    limits,
    transferWatch,
    clientAddress,
    access,
    metricsAreOpen,
    isExposed: false,
    corsOrigins,
    isAlive: () => true,
    unready: () => ready ? undefined : "on purpose",
    reportError: (error) => errors.push(error),
    servers: { own: "this-server", behind: () => serversBehind },
    s3: { hosts: s3Hosts, md5: s3Md5 },
  });
  return {
    app,
    access,
    storage,
    knobs,
    errors,
    events,
    feed,
    fixture: (options) => ({
      ...options,
      events,
      limits: {
        maxObjectBytes: knobs.maxObjectBytes,
        l1LimitBytes: knobs.l1LimitBytes,
        copyLimitBytes: sender.copyLimitBytes,
      },
      advance: (milliseconds) => nowMs += milliseconds,
      setFull: (full) => knobs.full = full,
      setFailing: (failing) => knobs.failing = failing,
      setReady: (value) => ready = value,
    }),
  };
}
