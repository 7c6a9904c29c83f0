import { expect, test } from "bun:test";
import { TrafficMetrics } from "../../../src/subscribers/metrics/traffic.ts";
import { MetricsHarness, type Published } from "./harness.ts";

const FS = { tier: "fs", tenant: "", keys: 1, seconds: 1 } as const;
const events: readonly Published[] = [
  ["l1.read.finished", { tenant: "", keys: 2, bytes: 10 }],
  ["l2.load.completed", { ...FS, outcome: "ok", bytes: 100, requestedBytes: 100 }],
  ["l2.load.completed", { ...FS, outcome: "failed", bytes: 1, requestedBytes: 9 }],
  ["sm.write.finished", { tenant: "", outcome: "stored", keys: 1, bytes: 1000 }],
  ["sm.write.finished", { tenant: "", outcome: "aborted", keys: 1, bytes: 500 }],
];

for (const how of ["folded", "single"] as const) {
  test(`TrafficMetrics counts bytes by tier and only stored writes when events come ${how}`, async () => {
    const harness = new MetricsHarness();
    await harness.publish(new TrafficMetrics(harness.instruments), events, how);
    expect(await harness.series()).toEqual({
      'vitrine_read_bytes_total{tier="l1"}': 10,
      'vitrine_read_bytes_total{tier="fs"}': 101,
      vitrine_written_bytes_total: 1000,
    });
  });
}
