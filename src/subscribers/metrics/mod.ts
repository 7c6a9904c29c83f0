import type { Subscriber } from "../../events/subscriber.ts";
import { type BusNumbers, EventBusMetrics } from "./event_bus.ts";
import { HttpMetrics, type KnownResponse } from "./http.ts";
import { Instruments, type InstrumentSource } from "./support/instruments.ts";
import { L1Metrics } from "./l1.ts";
import { L2Metrics } from "./l2/l2.ts";
import { L2CommitMetrics } from "./l2/l2_commits.ts";
import { L2PrefetchMetrics } from "./l2/l2_prefetch.ts";
import { L2ThroughputMetrics } from "./l2/l2_throughput.ts";
import { L1LifecycleMetrics } from "./lifecycle.ts";
import { LookupMetrics } from "./lookup.ts";
import { ProcessMetrics, type ProcessSource } from "./process.ts";
import { thisProcess } from "./support/process_source.ts";
import { ReuseMetrics } from "./reuse.ts";
import { SmMetrics } from "./sm.ts";
import { type Build, StateMetrics } from "./state.ts";
import type { StateSource } from "./support/state_source.ts";
import { TelemetryMetrics, type TelemetryNumbers } from "./telemetry.ts";
import { TenantRanking } from "./support/tenant_ranking.ts";
import { Tenants } from "./support/tenants.ts";
import { TrafficMetrics } from "./traffic.ts";
import { WorkerMetrics } from "./workers.ts";

export type { Build, BusNumbers, InstrumentSource, KnownResponse, ProcessSource, StateSource, TelemetryNumbers };

/** What the metrics subscribers need to know. */
export interface MetricsOptions {
  /** initObservability's result fits. */
  readonly source: InstrumentSource;
  /** Names of the L2 adapters, in the order they are asked. */
  readonly adapters: readonly string[];
  /** How many tenants have series of their own. Default 20. */
  readonly tenantLabels?: number;
  /** Answers whose series exist at zero from the start. */
  readonly responses: readonly KnownResponse[];
  readonly state: StateSource;
  /** EventBus.stats fits. */
  readonly busStats: () => BusNumbers;
  readonly build: Build;
  /** Of the clock that events are timed by. */
  readonly monotonicMs: () => number;
  /** What logs, traces and pushes count about themselves. Default: nothing. */
  readonly telemetry?: TelemetryNumbers;
  /** Default: this process. */
  readonly process?: ProcessSource;
}

const NO_TELEMETRY: TelemetryNumbers = {
  exports: () => new Map(),
  correlations: () => new Map(),
  logLines: () => ({ written: 0, suppressed: 0, lost: 0 }),
};

/** Every metrics subscriber, ready to be subscribed, in this order. */
export function metricsSubscribers(options: MetricsOptions): readonly Subscriber[] {
  const { adapters } = options;
  const tenants = new Tenants(options.tenantLabels ?? 20);
  const instruments = new Instruments(options.source, { adapters, tenants });
  return [
    new TenantRanking(tenants),
    new L1Metrics(instruments),
    new L1LifecycleMetrics(instruments, options.monotonicMs),
    new SmMetrics(instruments),
    new ReuseMetrics(instruments),
    new LookupMetrics(instruments),
    new L2Metrics(instruments, adapters),
    new L2CommitMetrics(instruments),
    new L2PrefetchMetrics(instruments, adapters),
    new L2ThroughputMetrics(instruments),
    new TrafficMetrics(instruments),
    new HttpMetrics(instruments, options.responses),
    new StateMetrics(instruments, options),
    new WorkerMetrics(instruments),
    new ProcessMetrics(instruments, options.process ?? thisProcess),
    new EventBusMetrics(instruments, options.busStats),
    new TelemetryMetrics(instruments, options.telemetry ?? NO_TELEMETRY),
  ];
}
