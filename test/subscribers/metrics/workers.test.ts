import { expect, test } from "bun:test";
import { WorkerMetrics } from "../../../src/subscribers/metrics/workers.ts";
import { MetricsHarness } from "./harness.ts";

for (const how of ["folded", "single"] as const) {
  test(`WorkerMetrics counts by cause the workers and storage threads that were replaced, not those that stopped, when events come ${how}`, async () => {
    const harness = new MetricsHarness();
    const gone = (["threw", "hung", "threw", "stopped", "killed"] as const).map((cause, place) =>
      ["worker.gone", { place: String(place), cause }] as const
    );
    const ended = (["threw", "threw", "not_started"] as const).map((cause) =>
      ["storage_thread.gone", { cause }] as const
    );
    await harness.publish(new WorkerMetrics(harness.instruments), [...gone, ...ended], how);
    expect(await harness.series()).toEqual({
      'vitrine_worker_restarts_total{cause="threw"}': 2,
      'vitrine_worker_restarts_total{cause="ended"}': 0,
      'vitrine_worker_restarts_total{cause="hung"}': 1,
      'vitrine_worker_restarts_total{cause="killed"}': 1,
      'vitrine_worker_restarts_total{cause="not_started"}': 0,
      'vitrine_storage_thread_restarts_total{cause="threw"}': 2,
      'vitrine_storage_thread_restarts_total{cause="ended"}': 0,
      'vitrine_storage_thread_restarts_total{cause="not_started"}': 1,
    });
  });
}
