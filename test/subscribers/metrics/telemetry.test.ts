import { expect, test } from "bun:test";
import { TelemetryMetrics } from "../../../src/subscribers/metrics/telemetry.ts";
import { MetricsHarness } from "./harness.ts";

test("TelemetryMetrics shows pushes, items, correlations and log lines, and zero for what is off", async () => {
  const harness = new MetricsHarness();
  harness.bus.subscribe(
    new TelemetryMetrics(harness.instruments, {
      exports: () =>
        new Map([
          ["metrics", { ok: 1, failed: 2 }],
          ["traces", { ok: 3, failed: 4, items: { exported: 5, failed: 6, dropped: 7, queued: 8 } }],
        ]),
      correlations: () => new Map([["tracing.requests", { pending: 9, dropped: 10 }]]),
      logLines: () => ({ written: 11, suppressed: 12, lost: 13 }),
    }),
  );
  expect(await harness.nonZero()).toEqual({
    'vitrine_otlp_exports_total{signal="metrics",outcome="ok"}': 1,
    'vitrine_otlp_exports_total{signal="metrics",outcome="failed"}': 2,
    'vitrine_otlp_exports_total{signal="traces",outcome="ok"}': 3,
    'vitrine_otlp_exports_total{signal="traces",outcome="failed"}': 4,
    'vitrine_otlp_items_total{signal="traces",outcome="exported"}': 5,
    'vitrine_otlp_items_total{signal="traces",outcome="failed"}': 6,
    'vitrine_otlp_items_total{signal="traces",outcome="dropped"}': 7,
    'vitrine_otlp_queue_items{signal="traces"}': 8,
    'vitrine_pending_correlations{subscriber_name="tracing.requests"}': 9,
    'vitrine_correlations_dropped_total{subscriber_name="tracing.requests"}': 10,
    'vitrine_log_lines_total{outcome="written"}': 11,
    'vitrine_log_lines_total{outcome="suppressed"}': 12,
    'vitrine_log_lines_total{outcome="lost"}': 13,
  });
  expect(await harness.series()).toMatchObject({ 'vitrine_otlp_items_total{signal="logs",outcome="dropped"}': 0 });
});
