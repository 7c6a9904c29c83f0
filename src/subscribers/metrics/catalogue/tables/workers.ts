import { catalogue } from "../../../../events/catalogue.ts";
import type { MetricRow } from "../table_row.ts";

/** What became of the workers and the storage thread. */
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
  vitrine_storage_thread_restarts_total: {
    kind: "counter",
    unit: "{restart}",
    help:
      "Times that the storage thread, which owns the folders of the file tiers, ended and was started again; by cause.",
    answers: "Does the storage thread die, and of what? The log says more.",
    from: ["storage_thread.gone"],
    labels: ["cause"],
    zero: [{ cause: catalogue["storage_thread.gone"].fields.cause.values }],
  },
} as const satisfies Record<string, MetricRow>;
