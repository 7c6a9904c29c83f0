import type { BusStats } from "../events/bus.ts";

/** How often L1 looks for expired leases and objects, and at its watermark. */
export const TICK_MS = 200;

/** What /metrics answers where there is nothing to show. */
export const OBSERVABILITY_OFF = "# observability is off\n";

/** The bus in /status. */
export function busStatus({ depth, lagSeconds, events }: BusStats): object {
  return {
    queue_depth: depth,
    drain_lag_seconds: lagSeconds,
    by_type: Object.fromEntries([...events].filter(([, counts]) => counts.published > 0)),
  };
}
