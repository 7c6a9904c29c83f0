import type { Subscriber } from "../../events/subscriber.ts";
import { type BusNumbers, EventBusMetrics } from "./event_bus.ts";
import { HttpMetrics, type KnownResponse } from "./http.ts";
import { Instruments, type InstrumentSource } from "./instruments.ts";
import { L1Metrics } from "./l1.ts";
import { L2Metrics } from "./l2.ts";
import { LookupMetrics } from "./lookup.ts";
import { SmMetrics } from "./sm.ts";
import { type Build, StateMetrics } from "./state.ts";
import type { StateSource } from "./state_source.ts";
import { TrafficMetrics } from "./traffic.ts";

export type { Build, BusNumbers, InstrumentSource, KnownResponse, StateSource };

/** What the metrics subscribers need to know. */
export interface MetricsOptions {
  /** initObservability's result fits. */
  readonly source: InstrumentSource;
  /** Names of the L2 adapters. */
  readonly adapters: readonly string[];
  /** Answers whose duration series exist at zero from the start. */
  readonly responses: readonly KnownResponse[];
  readonly state: StateSource;
  /** EventBus.stats fits. */
  readonly busStats: () => BusNumbers;
  readonly build: Build;
}

/** Every metrics subscriber, ready to be subscribed. */
export function metricsSubscribers(options: MetricsOptions): readonly Subscriber[] {
  const instruments = new Instruments(options.source, options.adapters);
  return [
    new L1Metrics(instruments),
    new SmMetrics(instruments),
    new L2Metrics(instruments, options.adapters),
    new LookupMetrics(instruments),
    new TrafficMetrics(instruments),
    new HttpMetrics(instruments, options.responses),
    new StateMetrics(instruments, options),
    new EventBusMetrics(instruments, options.busStats),
  ];
}
