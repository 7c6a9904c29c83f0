import process from "node:process";
import { every } from "../../core/clock.ts";
import type { BusStats } from "../../events/bus.ts";
import type { Subscriber } from "../../events/subscriber.ts";
import { l1Family, livesFamily, reuseFamily } from "./families/l1.ts";
import { l2CommitsFamily, l2Family } from "./families/l2.ts";
import { l2PrefetchFamily, l2ThroughputFamily } from "./families/l2_prefetch.ts";
import { leaseFamily, lookupFamily, manyKeysFamily, prefetchFamily, smFamily } from "./families/lookup.ts";
import { accessFamily, httpFamily, trafficFamily } from "./families/requests.ts";
import { processFamily, stateFamily, workersFamily } from "./families/state.ts";
import { eventBusFamily, telemetryFamily } from "./families/telemetry.ts";
import { familySubscriber, type InstrumentSource } from "./family_subscriber.ts";
import type { Build, Family, ProcessSource, StateSource, TelemetryNumbers } from "./metric.ts";
import { L1Lives, Uses } from "./sampled_objects.ts";
import { Tenants } from "./tenants.ts";

/** Every metric there is, in the order of docs/METRICS.md. */
export const metricFamilies: readonly Family[] = [
  l1Family,
  livesFamily,
  reuseFamily,
  smFamily,
  lookupFamily,
  manyKeysFamily,
  leaseFamily,
  prefetchFamily,
  l2Family,
  l2CommitsFamily,
  l2PrefetchFamily,
  l2ThroughputFamily,
  trafficFamily,
  httpFamily,
  accessFamily,
  stateFamily,
  workersFamily,
  processFamily,
  eventBusFamily,
  telemetryFamily,
];

/** Options of the metrics subscribers. */
export interface MetricsOptions {
  /** An Observability. */
  readonly source: InstrumentSource;
  /** Names of the L2 adapters, in the order they are asked. */
  readonly adapters: readonly string[];
  /** The number of tenants that have series of their own. Default 20. */
  readonly tenantLabels?: number;
  readonly state: StateSource;
  /** Reads the stats of the event bus. */
  readonly busStats: () => BusStats | Promise<BusStats>;
  readonly build: Build;
  /** The clock of the events. */
  readonly monotonicMs: () => number;
  /** The numbers of logs, traces and pushes. By default all are zero. */
  readonly telemetry?: TelemetryNumbers;
  /** Default: this process. */
  readonly process?: ProcessSource;
  /** Default: every metric there is. */
  readonly families?: readonly Family[];
}

const NO_TELEMETRY: TelemetryNumbers = {
  exports: () => new Map(),
  correlations: () => new Map(),
  logLines: () => ({ written: 0, suppressed: 0, lost: 0 }),
};

/** This process. */
export const thisProcess: ProcessSource = {
  cpuUsage: () => process.cpuUsage(),
  residentBytes: () => process.memoryUsage.rss(),
  nowMs: () => performance.now(),
  every,
};

/** Makes all metrics subscribers, to be added in this order. */
export function metricsSubscribers(options: MetricsOptions): readonly Subscriber[] {
  const { source, adapters, state, build, busStats } = options;
  const { telemetry = NO_TELEMETRY, process: host = thisProcess, families = metricFamilies } = options;
  const tenants = new Tenants(options.tenantLabels ?? 20);
  const startMs = host.nowMs();
  const making = {
    source,
    adapters,
    tenants,
    process: host,
    context: { adapters, lives: new L1Lives(options.monotonicMs), uses: new Uses() },
    readers: {
      ...state,
      ...telemetry,
      bus: busStats,
      build: () => build,
      adapters: () => adapters,
      process() {
        const { user, system } = host.cpuUsage();
        return {
          cpuSeconds: { user: user / 1e6, system: system / 1e6 },
          residentBytes: host.residentBytes(),
          uptimeSeconds: (host.nowMs() - startMs) / 1000,
        };
      },
    },
  };
  return [tenants.subscriber, ...families.map((family) => familySubscriber(family, making))];
}
