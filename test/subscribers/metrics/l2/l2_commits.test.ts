import { expect, test } from "bun:test";
import { L2CommitMetrics } from "../../../../src/subscribers/metrics/l2/l2_commits.ts";
import { MetricsHarness, type Published } from "../harness.ts";

const tier = "fs";
const commit = (changes: number, seconds: number, syncSeconds?: number): readonly Published[] => [
  ["l2.committed", { tier, changes }],
  ["l2.commit.timed", { tier, part: "commit", seconds }],
  ...(syncSeconds === undefined ? [] : [["l2.commit.timed", { tier, part: "sync", seconds: syncSeconds }] as const]),
];

for (const how of ["folded", "single"] as const) {
  test(`L2CommitMetrics keeps every commit in its bucket and counts only real syncs when events come ${how}`, async () => {
    const harness = new MetricsHarness();
    const events: readonly Published[] = [
      ...commit(1, 0.001, 0.0008),
      ...commit(1, 0.004),
      ...commit(64, 0.5, 0.25),
      ...commit(512, 16, 0.125),
      ["l2.reclaimed", { tier, bytes: 1000, copiedBytes: 300 }],
      ["l2.reclaimed", { tier, bytes: 500, copiedBytes: 0 }],
      ["l2.cleanup_failed", { tier, error: "remove: EBUSY" }],
      ["l2.cleanup_failed", { tier }],
    ];
    await harness.publish(new L2CommitMetrics(harness.instruments), events, how);
    expect(await harness.series()).toEqual({
      'vitrine_l2_commit_changes{tier="fs"}': { count: 4, sum: 578, buckets: { "1": 2, "64": 1, "512": 1 } },
      'vitrine_l2_commit_duration_seconds{tier="fs"}': {
        count: 4,
        sum: 16.505,
        buckets: { "0.001": 1, "0.005": 1, "0.5": 1, "+Inf": 1 },
      },
      'vitrine_l2_commit_sync_duration_seconds{tier="fs"}': {
        count: 3,
        sum: 0.3758,
        buckets: { "0.001": 1, "0.25": 2 },
      },
      'vitrine_l2_reclaimed_bytes_total{tier="fs"}': 1500,
      'vitrine_l2_reclaim_copied_bytes_total{tier="fs"}': 300,
      'vitrine_l2_cleanup_failures_total{tier="fs"}': 2,
    });
  });
}
