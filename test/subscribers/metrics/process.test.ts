import { expect, test } from "bun:test";
import { ProcessMetrics } from "../../../src/subscribers/metrics/process.ts";
import { thisProcess } from "../../../src/subscribers/metrics/support/process_source.ts";
import { MetricsHarness } from "./harness.ts";

test("ProcessMetrics shows the process and how late its timer was, until it is shut down", async () => {
  const harness = new MetricsHarness();
  let nowMs = 1000;
  let tick: (() => void) | undefined;
  const metrics = new ProcessMetrics(harness.instruments, {
    cpuUsage: () => ({ user: 1_500_000, system: 250_000 }),
    residentBytes: () => 4096,
    nowMs: () => nowMs,
    every(intervalMs, run) {
      expect(intervalMs).toBe(200);
      tick = run;
      return () => tick = undefined;
    },
  });
  for (const passedMs of [200, 204, 700, 199]) {
    nowMs += passedMs;
    tick?.();
  }
  expect(await harness.series()).toEqual({
    'process_cpu_time_seconds_total{cpu_mode="user"}': 1.5,
    'process_cpu_time_seconds_total{cpu_mode="system"}': 0.25,
    process_memory_usage_bytes: 4096,
    process_uptime_seconds: 1.303,
    vitrine_eventloop_delay_seconds: { count: 4, sum: 0.504, buckets: { "0.00005": 2, "0.005": 1, "0.5": 1 } },
  });
  metrics.shutdown();
  expect(tick).toBeUndefined();
});

test("thisProcess gives numbers of this process", () => {
  const { user, system } = thisProcess.cpuUsage();
  expect(user + system).toBeGreaterThan(0);
  expect(thisProcess.residentBytes()).toBeGreaterThan(1024 * 1024);
});
