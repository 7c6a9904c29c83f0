import { expect, test } from "bun:test";
import { metricRow } from "../../../scripts/metric_docs.ts";
import { zeroSeries } from "../../../src/subscribers/metrics/family_subscriber.ts";
import { counter, histogram } from "../../../src/subscribers/metrics/metric.ts";
import { metricFamilies } from "../../../src/subscribers/metrics/mod.ts";
import { MetricsHarness } from "./harness.ts";

const metrics = metricFamilies.flatMap((family) => family.metrics);
const names = metrics.map(({ name }) => name);
const adapters = ["fs"];

/** The series of a server that has had a request: a histogram's series exist from their first use. */
async function seriesOf() {
  const harness = new MetricsHarness();
  const request = { route: "/v1/objects/{key}", method: "PUT", status: "201" } as const;
  const end = { outcome: "complete", seconds: 0.1, requestBytes: 1, responseBytes: 1 } as const;
  await harness.publish([
    ["http.request.end", { ...request, ...end }],
    ["http.body", { ...request, direction: "request", bytes: 1 }],
    ["http.body", { ...request, direction: "response", bytes: 1 }],
  ]);
  return await harness.series();
}

test("metricsSubscribers export exactly the counters and gauges that are declared before anything happens", async () => {
  const series = Object.keys(await new MetricsHarness().series());
  const exported = new Set(series.map((one) => one.replace(/\{.*/, "")));
  const expected = metrics.filter(({ kind }) => kind !== "histogram").map(({ name }) => name);
  expect([...exported].toSorted()).toEqual(expected.toSorted());
  expect(new Set(names).size).toBe(names.length);
});

test("metricsSubscribers use exactly the labels that are declared", async () => {
  const series = Object.keys(await seriesOf());
  for (const one of series) {
    const [name = "", rest = ""] = one.split(/\{(.*)\}$/);
    const labels = [...rest.matchAll(/(\w+)="/g)].map(([, label]) => label);
    const declared = metrics.find((metric) => metric.name === name)?.about.labels ?? [];
    // The tenant "" has no label.
    const mayMiss = labels.length === 0 && declared.includes("cache_salt");
    expect({ name, labels }).toEqual({ name, labels: mayMiss ? [] : [...declared] });
  }
});

test("metricsSubscribers have all series that are promised at zero on the first collection", async () => {
  const series = await new MetricsHarness().series();
  const promised = metrics.filter(({ kind }) => kind !== "gauge").flatMap((metric) =>
    zeroSeries(metric, { adapters }).map((labels) => {
      const pairs = Object.entries(labels).map(([label, value]) => `${label}="${String(value)}"`);
      return pairs.length === 0 ? metric.name : `${metric.name}{${pairs.join(",")}}`;
    })
  );
  expect(promised.filter((one) => series[one] === undefined)).toEqual([]);
  expect(promised.length).toBeGreaterThan(140);
});

test("each subscriber listens exactly to the events that its metrics measure, with details only where keys need them", () => {
  const { subscribers } = new MetricsHarness();
  const [ranking, ...fed] = subscribers;
  expect(ranking?.name).toBe("metrics.tenants");
  expect(fed.map(({ name }) => name)).toEqual(metricFamilies.map(({ name }) => name));
  for (const [index, { subscriptions }] of fed.entries()) {
    const measured = metricFamilies[index]?.metrics.flatMap(({ feed }) => Object.keys(feed.measures));
    expect(Object.keys(subscriptions).toSorted()).toEqual([...new Set(measured)].toSorted());
  }
  expect(new Set(fed.flatMap(({ individual = [] }) => individual))).toEqual(new Set(["l1.key.sampled"]));
});

test("every metric is fed in exactly one way: by events, by what is read when it is collected, or by itself", () => {
  for (const { name, feed } of metrics) {
    const ways = [Object.keys(feed.measures).length, Object.keys(feed.reads).length, feed.run === undefined ? 0 : 1];
    expect({ name, ways: ways.filter((way) => way > 0).length }).toEqual({ name, ways: 1 });
  }
});

test("declared metrics follow the rules of promlint that their names can break", () => {
  for (const { name, kind, about } of metrics) {
    // LMCache's own names; promlint is told so.
    if (name.endsWith("_throughput_GB_per_second")) continue;
    expect(name).toMatch(/^[a-z][a-z0-9_]*$/);
    expect(name.endsWith("_total")).toBe(kind === "counter");
    expect(name).not.toMatch(/_(bucket|count|sum|counter|gauge|histogram|ms|sec|kb|mb|gb)(_|$)/);
    expect(about.help.length).toBeGreaterThan(0);
    expect(about.bounds !== undefined).toBe(kind === "histogram");
  }
});

test("the nine counters of LMCache's original design are there by their exact names", () => {
  const keys = [
    "l1_read",
    "l1_write",
    "l1_evicted",
    "sm_read_succeed",
    "sm_read_failed",
    "sm_write_succeed",
    "sm_write_failed",
  ].map((name) => `lmcache_mp_${name}_keys_total`);
  const requests = ["lmcache_mp_sm_read_requests_total", "lmcache_mp_sm_write_requests_total"];
  expect(names).toEqual(expect.arrayContaining([...keys, ...requests]));
});

test("a new metric is one entry: zero series, subscription, values and its row in the docs follow from it", async () => {
  const bytes = counter("vitrine_test_removed_bytes_total", {
    unit: "By",
    help: "Bytes removed.",
    answers: "How much goes?",
    labels: ["why"],
    zero: [{ why: ["deleted", "expired"] }],
  }).on("l1.removed", ({ bytes: removed, reason }) => [removed, { why: reason }]);
  const age = histogram("vitrine_test_seconds", { unit: "s", help: "Time.", answers: "How long?", bounds: [1, 2] })
    .on("l2.delete.completed", ({ seconds }) => seconds);
  const harness = new MetricsHarness([{ name: "metrics.test", metrics: [bytes, age] }]);
  expect(harness.subscribers.map(({ name, subscriptions }) => [name, Object.keys(subscriptions)]).at(-1)).toEqual([
    "metrics.test",
    ["l1.removed", "l2.delete.completed"],
  ]);
  await harness.publish([
    ["l1.removed", { tenant: "", reason: "deleted", keys: 1, bytes: 5 }],
    ["l1.removed", { tenant: "", reason: "deleted", keys: 1, bytes: 7 }],
    ["l2.delete.completed", { tier: "fs", tenant: "", outcome: "miss", keys: 1, seconds: 1.5 }],
    ["l2.delete.completed", { tier: "fs", tenant: "", outcome: "miss", keys: 1, seconds: 1.5 }],
  ]);
  expect(await harness.series()).toEqual({
    'vitrine_test_removed_bytes_total{why="deleted"}': 12,
    'vitrine_test_removed_bytes_total{why="expired"}': 0,
    vitrine_test_seconds: { count: 2, sum: 3, buckets: { "2": 2 } },
  });
  expect(metricRow(bytes)).toBe(
    "| `vitrine_test_removed_bytes_total` | counter | By | `why` | Bytes removed. | How much goes? | `l1.removed` |",
  );
});
