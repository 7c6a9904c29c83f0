import { expect, test } from "bun:test";
import { MISS_REASONS } from "../../../src/core/miss_reason.ts";
import { LookupMetrics } from "../../../src/subscribers/metrics/lookup.ts";
import { MetricsHarness, type Published } from "./harness.ts";

const events: readonly Published[] = [
  ["lookup.finished", { tenant: "", tier: "l1", result: "hit", reason: "", keys: 2, bytes: 10 }],
  ["lookup.finished", { tenant: "a", tier: "l1", result: "hit", reason: "", keys: 1, bytes: 10 }],
  ["lookup.finished", { tenant: "", tier: "redis", result: "hit", reason: "", keys: 6, bytes: 10 }],
  ["lookup.finished", { tenant: "", tier: "", result: "miss", reason: "capacity", keys: 4, bytes: 0 }],
  ["lookup.finished", { tenant: "", tier: "", result: "miss", reason: "never_stored", keys: 2, bytes: 0 }],
  ["lookup.finished", { tenant: "", tier: "", result: "error", reason: "tier_failed", keys: 3, bytes: 0 }],
  ["sm.read.finished", { tenant: "b", keys: 7, bytes: 10 }],
];

for (const how of ["folded", "single"] as const) {
  test(`LookupMetrics counts both sides of the hit rate when events come ${how}`, async () => {
    const harness = new MetricsHarness(["fs", "redis"]);
    harness.tenants.count("a", 1);
    await harness.publish(new LookupMetrics(harness.instruments), events, how);
    expect(await harness.nonZero()).toEqual({
      'vitrine_lookups_total{tier="l1",result="hit"}': 3,
      'vitrine_lookups_total{tier="redis",result="hit"}': 6,
      'vitrine_lookups_total{tier="none",result="miss"}': 6,
      'vitrine_lookups_total{tier="none",result="error"}': 3,
      'vitrine_lookup_misses_total{reason="capacity"}': 4,
      'vitrine_lookup_misses_total{reason="never_stored"}': 2,
      lmcache_mp_lookups_requests_total: 5,
      'lmcache_mp_lookups_requests_total{cache_salt="a"}': 1,
      lmcache_mp_lookup_requested_tokens_total: 17,
      'lmcache_mp_lookup_requested_tokens_total{cache_salt="a"}': 1,
      lmcache_mp_lookup_hit_tokens_total: 8,
      'lmcache_mp_lookup_hit_tokens_total{cache_salt="a"}': 1,
      lmcache_mp_lookup_hit_l1_tokens_total: 2,
      'lmcache_mp_lookup_hit_l1_tokens_total{cache_salt="a"}': 1,
      lmcache_mp_lookup_hit_l2_tokens_total: 6,
      lmcache_mp_lookup_hit_l1_keys_total: 2,
      'lmcache_mp_lookup_hit_l1_keys_total{cache_salt="a"}': 1,
      lmcache_mp_lookup_hit_l2_keys_total: 6,
      'lmcache_mp_num_chunks_loaded_total{cache_salt="_other"}': 7,
    });
    expect(await harness.series()).toMatchObject({
      'vitrine_lookups_total{tier="fs",result="hit"}': 0,
    });
    const reasons = MISS_REASONS.filter((reason) => reason !== "capacity" && reason !== "never_stored");
    const zeros = reasons.map((reason) => [`vitrine_lookup_misses_total{reason="${reason}"}`, 0]);
    expect(await harness.series()).toMatchObject(Object.fromEntries(zeros));
  });
}
