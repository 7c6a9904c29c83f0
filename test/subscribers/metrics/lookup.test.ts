import { expect, test } from "bun:test";
import { LookupMetrics } from "../../../src/subscribers/metrics/lookup.ts";
import { MetricsHarness, type Published } from "./harness.ts";

const events: readonly Published[] = [
  ["lookup.finished", { tenant: "", tier: "l1", result: "hit", keys: 2, bytes: 10 }],
  ["lookup.finished", { tenant: "a", tier: "l1", result: "hit", keys: 1, bytes: 10 }],
  ["lookup.finished", { tenant: "", tier: "redis", result: "hit", keys: 6, bytes: 10 }],
  ["lookup.finished", { tenant: "", tier: "", result: "miss", keys: 4, bytes: 0 }],
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
      'vitrine_lookups_total{tier="none",result="miss"}': 4,
      lmcache_mp_lookups_requests_total: 3,
      'lmcache_mp_lookups_requests_total{cache_salt="a"}': 1,
      lmcache_mp_lookup_requested_tokens_total: 12,
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
      'vitrine_lookups_total{tier="none",result="error"}': 0,
    });
  });
}
