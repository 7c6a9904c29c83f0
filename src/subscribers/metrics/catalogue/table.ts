import { eventBusTable } from "./tables/event_bus.ts";
import { l1Table } from "./tables/l1.ts";
import { l2Table } from "./tables/l2.ts";
import { l2CommitsTable } from "./tables/l2_commits.ts";
import { l2PrefetchTable } from "./tables/l2_prefetch.ts";
import { lifecycleTable } from "./tables/lifecycle.ts";
import { lookupTable } from "./tables/lookup.ts";
import { processTable } from "./tables/process.ts";
import { requestsTable } from "./tables/requests.ts";
import { smTable } from "./tables/sm.ts";
import { stateTable } from "./tables/state.ts";
import { telemetryTable } from "./tables/telemetry.ts";
import { workersTable } from "./tables/workers.ts";

/** Every metric there is, by the name that /metrics and OTLP show. The names are a contract. */
export const metricsTable = {
  ...l1Table,
  ...lifecycleTable,
  ...smTable,
  ...lookupTable,
  ...l2Table,
  ...l2CommitsTable,
  ...l2PrefetchTable,
  ...requestsTable,
  ...stateTable,
  ...workersTable,
  ...processTable,
  ...eventBusTable,
  ...telemetryTable,
} as const;

/** A metric's name. */
export type MetricName = keyof typeof metricsTable;

/** The names of one kind. */
export type NameOf<Kind extends string> = {
  [Name in MetricName]: (typeof metricsTable)[Name]["kind"] extends Kind ? Name : never;
}[MetricName];
