import { expect, test } from "bun:test";
import { globSync, readFileSync } from "node:fs";
import { figuresOf } from "../../../page/figures/figures.js";
import { metricNames } from "../../../page/figures/metric_names.js";
import { MetricsWindow } from "../../../page/metrics_window.js";
import { parseMetrics } from "../../../page/scrape.js";
import { metricFamilies } from "../../../src/subscribers/metrics/mod.ts";

const duration = "http_server_request_duration_seconds";

/** The figures after two scrapes, two seconds apart. */
function figures(before: string, after: string) {
  const window = new MetricsWindow({ windowMs: 6000 });
  window.add(parseMetrics(before), 0);
  return figuresOf(window.add(parseMetrics(after), 2000));
}

test("trafficOf leaves out the page's own requests and streams of events when it counts", () => {
  const of = (route: string, count: number) =>
    `${duration}_count{http_route="${route}",http_response_status_code="200"} ${count}\n` +
    `http_server_response_body_size_bytes_sum{http_route="${route}"} ${count * 1000}\n` +
    `${duration}_bucket{http_route="${route}",le="1"} ${count}\n${duration}_bucket{http_route="${route}",le="+Inf"} ${count}\n`;
  const page = (count: number) =>
    of("/v1/objects/{key}", count) + of("/metrics", 5 * count) + of("/v1/events", count) + of("/v1/access", count) +
    of("/", 1);
  const { traffic } = figures(page(10), page(30));
  expect(traffic).toMatchObject({
    requests: 30,
    requestsPerSecond: 10,
    bytesOut: 30_000,
    outPerSecond: 10_000,
    p50: 0.5,
  });
  expect(Object.fromEntries(traffic.requestsByClass)).toEqual({ "2xx": 10, "3xx": 0, "4xx": 0, "5xx": 0 });
});

test("trafficOf tells the hit rate of the window, by tier, when there were lookups", () => {
  const lookups = (l1: number, fs: number, none: number) =>
    `vitrine_lookups_total{tier="l1",result="hit"} ${l1}\nvitrine_lookups_total{tier="fs",result="hit"} ${fs}\n` +
    `vitrine_lookups_total{tier="none",result="miss"} ${none}\n`;
  const { traffic } = figures(lookups(100, 100, 100), lookups(106, 102, 102));
  expect(traffic).toMatchObject({ hitRate: 0.8, hits: 208, lookups: 310 });
  expect(Object.fromEntries(traffic.hitRates)).toEqual({ l1: 0.6, fs: 0.2 });
});

test("commitsOf tells how long the commits and syncs of the window took, and how much was in them, of all tiers", () => {
  const buckets = (name: string, tier: string, fast: number, all: number) =>
    [["0.001", fast], ["0.01", all], ["+Inf", all]].map(([le, count]) =>
      `vitrine_l2_${name}_duration_seconds_bucket{tier="${tier}",le="${le}"} ${count}\n`
    ).join("");
  const page = (fast: number, all: number, changes: number) =>
    ["a", "b"].map((tier) =>
      buckets("commit", tier, fast, all) + buckets("commit_sync", tier, 0, all) +
      `vitrine_l2_commit_changes_count{tier="${tier}"} ${all}\nvitrine_l2_commit_changes_sum{tier="${tier}"} ${changes}\n`
    ).join("") +
    `vitrine_storage_thread_stuck_seconds 6.5\nvitrine_storage_thread_restarts_total{cause="threw"} 1\n` +
    `vitrine_storage_thread_restarts_total{cause="ended"} 2\n`;
  const { p50, p99, syncP99, ...rest } = figures(page(10, 10, 100), page(18, 20, 125)).commits;
  expect(p50).toBeCloseTo(0.000625);
  expect(p99).toBeCloseTo(0.00955);
  expect(syncP99).toBeCloseTo(0.00991);
  expect(rest).toEqual({ changes: 2.5, stuckSeconds: 6.5, restarts: 3 });
});

test("figuresOf has zeros and unknowns but no NaN when nothing has happened", () => {
  for (
    const { traffic, bus, commits } of [
      figures("", ""),
      figuresOf(new MetricsWindow({ windowMs: 1 }).add(parseMetrics(""), 0)),
    ]
  ) {
    expect(traffic).toMatchObject({ hitRate: undefined, p99: undefined, requestsPerSecond: 0, outPerSecond: 0 });
    expect(Object.values(bus).every((value) => value === 0)).toBe(true);
    expect(commits).toEqual({
      p50: undefined,
      p99: undefined,
      syncP99: undefined,
      changes: undefined,
      stuckSeconds: 0,
      restarts: 0,
    });
  }
});

test("tiersOf puts L1 first and adds up the failures when there are several tiers, one without a known use", () => {
  const page = `vitrine_used_bytes{tier="fs"} 5\nvitrine_used_bytes{tier="l1"} 7\nvitrine_limit_bytes{tier="l1"} 10\n` +
    `vitrine_objects{tier="l1"} 2\nvitrine_oldest_entry_age_seconds{tier="l1"} 3\n` +
    `vitrine_l2_requests_total{tier="fs",op="load",outcome="error"} 1\nvitrine_l2_requests_total{tier="fs",op="store",outcome="failed"} 2\n` +
    `vitrine_l2_requests_total{tier="fs",op="lookup",outcome="miss"} 9\n` +
    `vitrine_l2_requests_total{tier="http",op="lookup",outcome="error"} 4\n`;
  const unknown = { objects: undefined, usedBytes: undefined, limitBytes: undefined, oldestSeconds: undefined };
  expect(figures(page, page).tiers).toEqual([
    { tier: "l1", objects: 2, usedBytes: 7, limitBytes: 10, oldestSeconds: 3, failures: 0 },
    { tier: "fs", objects: 0, usedBytes: 5, limitBytes: 0, oldestSeconds: undefined, failures: 3 },
    { tier: "http", ...unknown, failures: 4 },
  ]);
});

test("removalsOf and tenantsOf put the largest first when they make rows", () => {
  const page = (count: number) =>
    `vitrine_l1_removed_objects_total{reason="quota"} 0\nvitrine_l1_removed_objects_total{reason="watermark"} ${count}\n` +
    `vitrine_l1_removed_bytes_total{reason="watermark"} ${
      10 * count
    }\nvitrine_l2_removed_objects_total{tier="fs",reason="deleted"} 1\n` +
    `lmcache_mp_lookups_requests_total{cache_salt="a"} 1\nlmcache_mp_lookups_requests_total ${count}\n` +
    `lmcache_mp_lookup_hit_tokens_total ${count / 2}\nlmcache_mp_lookups_requests_total{cache_salt="_other"} 0\n` +
    `lmcache_mp_l1_write_chunks_total{cache_salt="writer"} 3\n`;
  const { removals, tenants } = figures(page(10), page(20));
  expect(removals).toEqual([
    { level: "L1", reason: "watermark", objects: 20, bytes: 200, perSecond: 5 },
    { level: "L2", reason: "deleted", objects: 1, bytes: 0, perSecond: 0 },
    { level: "L1", reason: "quota", objects: 0, bytes: 0, perSecond: 0 },
  ]);
  expect(tenants.map(({ tenant, lookups, hits, perSecond }) => [tenant, lookups, hits, perSecond])).toEqual([
    ["", 20, 10, 5],
    ["writer", 0, 0, 0],
    ["a", 1, 0, 0],
  ]);
});

test("tenantsOf goes by name when tenants are equal, whatever the order of their series", () => {
  const page = ["b", "a", "_other"].map((name) => `lmcache_mp_lookups_requests_total{cache_salt="${name}"} 1\n`).join(
    "",
  );
  expect(figures(page, page).tenants.map(({ tenant }) => tenant)).toEqual(["_other", "a", "b"]);
});

test("missesOf leaves out what never occurred when it tells why lookups miss", () => {
  const page = (count: number) =>
    `vitrine_lookup_misses_total{reason="expired"} 0\nvitrine_lookup_misses_total{reason="deleted"} 1\n` +
    `vitrine_lookup_misses_total{reason="never_stored"} ${count}\n`;
  expect(figures(page(2), page(8)).misses).toEqual([
    { reason: "never_stored", count: 8, perSecond: 3 },
    { reason: "deleted", count: 1, perSecond: 0 },
  ]);
});

test("busOf adds up the events of all types when it tells what became of them", () => {
  const page = (count: number) =>
    ["published", "rolled_up", "lost"].map((state) =>
      ["a", "b"].map((event) => `vitrine_eventbus_events_total{event="${event}",state="${state}"} ${count}\n`).join("")
    ).join("") + `lmcache_mp_event_bus_drain_lag_seconds 0.5\n`;
  expect(figures(page(1), page(5)).bus).toMatchObject({
    published: 10,
    rolledUp: 10,
    delivered: 0,
    lost: 10,
    lagSeconds: 0.5,
    publishedPerSecond: 4,
  });
});

test("metricNames has every metric that the figures use, and no other", () => {
  const declared = metricFamilies.flatMap(({ metrics }) => metrics.map(({ name }) => name));
  const sources = globSync("page/figures/*.js").filter((path) => !path.endsWith("metric_names.js"));
  const words = sources.flatMap((path) => readFileSync(path, "utf8").match(/[a-z0-9_]+/g) ?? []);
  const used = new Set(words.map((word) => word.replace(/_(?:bucket|sum|count)$/, "")));
  expect(metricNames.toSorted()).toEqual(declared.filter((name) => used.has(name)).toSorted());
});
