import { LATENCY_BOUNDS } from "../../../events/catalogue.ts";
import { counter, type Family, gauge, histogram } from "../metric.ts";
import type { ProcessSource } from "../sources.ts";

const INTERVAL_MS = 200;

/** Records again and again how late a timer is, in seconds. */
function timerDelay(record: (seconds: number) => void, source: ProcessSource): () => void {
  let lastMs = source.nowMs();
  return source.every(INTERVAL_MS, () => {
    const nowMs = source.nowMs();
    record(Math.max(0, nowMs - lastMs - INTERVAL_MS) / 1000);
    lastMs = nowMs;
  });
}

/** The process, by the names of OpenTelemetry's semantic conventions where they have one. */
export const processFamily: Family = {
  name: "metrics.process",
  metrics: [
    counter("process_cpu_time_seconds_total", {
      unit: "s",
      help: "Processor time of all threads.",
      answers: "How many cores does the server use?",
      labels: ["cpu_mode"],
    }).read("process", ({ cpuSeconds: { user, system } }) => [
      [user, { cpu_mode: "user" }],
      [system, { cpu_mode: "system" }],
    ]),
    gauge("process_memory_usage_bytes", {
      unit: "By",
      help: "Resident memory of the process, L1 included as far as it has been touched.",
      answers: "Does the process stay within its bound?",
    }).read("process", ({ residentBytes }) => residentBytes),
    gauge("process_uptime_seconds", {
      unit: "s",
      help: "Time since the server started.",
      answers: "Did it restart?",
    }).read("process", ({ uptimeSeconds }) => uptimeSeconds),
    histogram("vitrine_eventloop_delay_seconds", {
      unit: "s",
      help: "How late a timer of the collector's thread was, five times a second.",
      answers: "Is the thread that makes the numbers blocked? A server of one thread serves on it too.",
      bounds: LATENCY_BOUNDS,
    }).runs(timerDelay),
  ],
};
