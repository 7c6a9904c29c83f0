import { LATENCY_BOUNDS } from "../../../../events/catalogue.ts";
import type { MetricRow } from "../table_row.ts";

/** The process, by the names of OpenTelemetry's semantic conventions where they have one. */
export const processTable = {
  process_cpu_time_seconds_total: {
    kind: "counter",
    unit: "s",
    help: "Processor time of all threads.",
    answers: "How many cores does the server use?",
    from: "state",
    labels: ["cpu_mode"],
    zero: [{ cpu_mode: ["user", "system"] }],
  },
  process_memory_usage_bytes: {
    kind: "gauge",
    unit: "By",
    help: "Resident memory of the process, L1 included as far as it has been touched.",
    answers: "Does the process stay within its bound?",
    from: "state",
    labels: [],
  },
  process_uptime_seconds: {
    kind: "gauge",
    unit: "s",
    help: "Time since the server started.",
    answers: "Did it restart?",
    from: "state",
    labels: [],
  },
  vitrine_eventloop_delay_seconds: {
    kind: "histogram",
    unit: "s",
    help: "How late a timer of the collector's thread was, five times a second.",
    answers: "Is the thread that makes the numbers blocked? A server of one thread serves on it too.",
    from: "state",
    labels: [],
    bounds: LATENCY_BOUNDS,
  },
} as const satisfies Record<string, MetricRow>;
