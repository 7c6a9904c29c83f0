import type { MetricRow } from "../table_row.ts";

/** What became of the workers. */
export const workersTable = {
  vitrine_worker_restarts_total: {
    kind: "counter",
    unit: "{worker}",
    help: "Workers that died, hung or did not start, whose place was filled again; by cause.",
    answers: "Do workers die, and of what? The log says more.",
    from: ["worker.gone"],
    labels: ["cause"],
    zero: [{ cause: ["threw", "ended", "hung", "killed", "not_started"] }],
  },
} as const satisfies Record<string, MetricRow>;
