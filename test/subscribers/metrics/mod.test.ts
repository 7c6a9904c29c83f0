import { expect, test } from "bun:test";
import { eventNames } from "../../../src/events/schema.ts";
import { metricsSubscribers } from "../../../src/subscribers/metrics/mod.ts";
import { metricsTable } from "../../../src/subscribers/metrics/catalogue/table.ts";
import { type MetricRow } from "../../../src/subscribers/metrics/catalogue/table_row.ts";
import { MetricsHarness } from "./harness.ts";

const rows: readonly [string, MetricRow][] = Object.entries(metricsTable);

async function freshServer() {
  const harness = new MetricsHarness(["fs"]);
  const subscribers = metricsSubscribers({
    source: harness.source,
    adapters: ["fs"],
    responses: [
      { method: "GET", route: "/metrics", status: "200" },
      { method: "PUT", route: "/v1/objects/{key}", status: "201" },
    ],
    state: {
      l1: () => ({ objects: 0, usedBytes: 0, capacityBytes: 100, stagingBytes: 0, oldestAgeSeconds: 0, repairs: 0 }),
      storage: () =>
        Promise.resolve({
          l2: [{ tier: "fs", objects: 0, usedBytes: 0, limitBytes: 0 }],
          storeQueue: { entries: 0, bytes: 0, oldestAgeSeconds: 0 },
        }),
      activeRequests: () => 0,
      workers: () => [],
      storageThreadStuckSeconds: () => 0,
    },
    busStats: () => harness.bus.stats(),
    build: { version: "1", runtime: "test", startMs: 0 },
    monotonicMs: () => 0,
    process: {
      cpuUsage: () => ({ user: 0, system: 0 }),
      residentBytes: () => 0,
      nowMs: () => 0,
      every: () => () => {},
    },
  });
  for (const subscriber of subscribers) harness.bus.subscribe(subscriber);
  return { harness, subscribers, series: Object.keys(await harness.series()) };
}

test("metricsSubscribers export exactly the metrics of the table on the first collection", async () => {
  const { series } = await freshServer();
  const names = new Set(series.map((one) => one.replace(/\{.*/, "")));
  expect([...names].toSorted()).toEqual(rows.map(([name]) => name).toSorted());
});

test("metricsSubscribers use exactly the labels that the table names", async () => {
  const { series } = await freshServer();
  for (const one of series) {
    const [name = "", rest = ""] = one.split(/\{(.*)\}$/);
    const labels = [...rest.matchAll(/(\w+)="/g)].map(([, label]) => label);
    const row = rows.find(([rowName]) => rowName === name);
    const expected = row?.[1].labels ?? [];
    // The tenant "" has no label.
    const mayMiss = labels.length === 0 && expected.includes("cache_salt");
    expect({ name, labels }).toEqual({ name, labels: mayMiss ? [] : [...expected] });
  }
});

test("metricsSubscribers have all series that the table promises at zero on the first collection", async () => {
  const { harness, series } = await freshServer();
  const promised = rows.flatMap(([name, row]) =>
    harness.instruments.zeroSeries(row).map((labels) => {
      const pairs = Object.entries(labels).map(([label, value]) => `${label}="${String(value)}"`);
      return pairs.length === 0 ? name : `${name}{${pairs.join(",")}}`;
    })
  );
  expect(promised.filter((one) => !series.includes(one))).toEqual([]);
});

test("metricsSubscribers listen exactly to the events that the table says feed them, with details only where rates and keys need them", async () => {
  const { subscribers } = await freshServer();
  const heard = new Set(subscribers.flatMap(({ subscriptions }) => Object.keys(subscriptions)));
  const fed = new Set(rows.flatMap(([, { from }]) => from === "state" ? [] : from));
  expect([...heard].toSorted()).toEqual([...fed].toSorted());
  expect(new Set(subscribers.flatMap(({ detail = [] }) => detail))).toEqual(
    new Set(["l1.key.sampled", "l2.store.completed", "l2.load.completed"]),
  );
  expect([...fed].filter((name) => !eventNames.includes(name))).toEqual([]);
});

test("metricsTable follows the rules of promlint that its names can break", () => {
  for (const [name, { kind, help, bounds }] of rows) {
    // LMCache's own names; promlint is told so.
    if (name.endsWith("_throughput_GB_per_second")) continue;
    expect(name).toMatch(/^[a-z][a-z0-9_]*$/);
    expect(name.endsWith("_total")).toBe(kind === "counter");
    expect(name).not.toMatch(/_(bucket|count|sum|counter|gauge|histogram|ms|sec|kb|mb|gb)(_|$)/);
    expect(help.length).toBeGreaterThan(0);
    expect(bounds !== undefined).toBe(kind === "histogram");
  }
});

test("metricsTable has the nine counters of LMCache's original design by their exact names", () => {
  const nine = [
    "l1_read",
    "l1_write",
    "l1_evicted",
    "sm_read_succeed",
    "sm_read_failed",
    "sm_write_succeed",
    "sm_write_failed",
  ]
    .map((name) => `lmcache_mp_${name}_keys_total`);
  const requests = ["lmcache_mp_sm_read_requests_total", "lmcache_mp_sm_write_requests_total"];
  for (const name of [...nine, ...requests]) expect(metricsTable).toHaveProperty(name);
});
