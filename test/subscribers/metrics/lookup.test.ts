import { expect, test } from "bun:test";
import { LookupMetrics } from "../../../src/subscribers/metrics/lookup.ts";
import { MetricsHarness, type Published } from "./harness.ts";

const events: readonly Published[] = [
  ["lookup.finished", { tenant: "", tier: "l1", result: "hit", keys: 2, bytes: 10 }],
  ["lookup.finished", { tenant: "a", tier: "l1", result: "hit", keys: 1, bytes: 10 }],
  ["lookup.finished", { tenant: "", tier: "", result: "miss", keys: 4, bytes: 0 }],
];

for (const how of ["folded", "single"] as const) {
  test(`LookupMetrics counts both sides of the hit rate when events come ${how}`, async () => {
    const harness = new MetricsHarness(["fs", "redis"]);
    await harness.publish(new LookupMetrics(harness.instruments), events, how);
    expect(await harness.series()).toEqual({
      'vitrine_lookups_total{tier="l1",result="hit"}': 3,
      'vitrine_lookups_total{tier="fs",result="hit"}': 0,
      'vitrine_lookups_total{tier="redis",result="hit"}': 0,
      'vitrine_lookups_total{tier="none",result="miss"}': 4,
      'vitrine_lookups_total{tier="none",result="error"}': 0,
    });
  });
}
