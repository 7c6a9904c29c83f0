import { expect, test } from "bun:test";
import { eventBusFamily, telemetryFamily } from "../../../src/subscribers/metrics/families/telemetry.ts";
import { processFamily, stateFamily } from "../../../src/subscribers/metrics/families/state.ts";
import { thisProcess } from "../../../src/subscribers/metrics/mod.ts";
import { IDLE, MetricsHarness } from "./harness.ts";

const build = { version: "1.2.3", runtime: "bun 1", startMs: 5500 };
const storeQueue = { entries: 2, bytes: 300, inFlight: 0, oldestAgeSeconds: 1.5 };

test("stateFamily shows the state at the time of the collection, and asks each source once", async () => {
  let usedBytes = 25;
  let asked = 0;
  const state = {
    l1: () => ({
      objects: 4,
      usedBytes,
      capacityBytes: 100,
      stagingBytes: 5,
      oldestAgeSeconds: 9,
      repairs: 2,
      holds: 3,
      heldBytes: 20,
    }),
    storage() {
      asked++;
      const fs = { tier: "fs", objects: 7, usedBytes: 70, limitBytes: 0, oldestAgeSeconds: 60 };
      return Promise.resolve({ l2: [fs], storeQueue });
    },
    quotas: () => [{ tenant: "", limitBytes: 40, usedBytes: 30 }],
    activeRequests: () => 3,
    prefetchJobs: () => 0,
    workers: () => ["ready", "ready", "gone"] as const,
    storageThreadStuckSeconds: () => ({ storage: 0.25, file: 6.25 }),
  };
  const harness = new MetricsHarness([stateFamily], { state, build });
  usedBytes = 50;
  expect(await harness.series()).toEqual({
    'vitrine_objects{tier="l1"}': 4,
    'vitrine_objects{tier="fs"}': 7,
    'vitrine_used_bytes{tier="l1"}': 50,
    'vitrine_used_bytes{tier="fs"}': 70,
    'vitrine_oldest_entry_age_seconds{tier="l1"}': 9,
    'vitrine_oldest_entry_age_seconds{tier="fs"}': 60,
    'vitrine_limit_bytes{tier="l1"}': 100,
    'vitrine_limit_bytes{tier="fs"}': 0,
    lmcache_mp_l1_memory_usage_bytes: 50,
    lmcache_mp_l1_usage_ratio: 0.5,
    lmcache_mp_l1_staging_bytes: 5,
    vitrine_leased_objects: 3,
    vitrine_leased_bytes: 20,
    vitrine_quota_limit_bytes: 40,
    vitrine_quota_used_bytes: 30,
    'lmcache_mp_l2_usage_bytes{l2_name="fs"}': 70,
    vitrine_store_queue_entries: 2,
    vitrine_store_queue_bytes: 300,
    vitrine_store_queue_oldest_age_seconds: 1.5,
    vitrine_l1_repairs_total: 2,
    'vitrine_workers{state="starting"}': 0,
    'vitrine_workers{state="ready"}': 2,
    'vitrine_workers{state="stopping"}': 0,
    'vitrine_workers{state="gone"}': 1,
    'vitrine_workers{state="stuck"}': 0,
    'vitrine_storage_thread_stuck_seconds{thread="storage"}': 0.25,
    'vitrine_storage_thread_stuck_seconds{thread="file"}': 6.25,
    http_server_active_requests: 3,
    'vitrine_build_info{version="1.2.3",runtime="bun 1"}': 1,
    vitrine_start_time_seconds: 5.5,
  });
  expect(asked).toBe(1);
});

test("stateFamily leaves out a tier that has no numbers, and gives ratio 0 for an arena of 0 bytes", async () => {
  const state = {
    l1: () => ({
      objects: 0,
      usedBytes: 0,
      capacityBytes: 0,
      stagingBytes: 0,
      oldestAgeSeconds: 0,
      repairs: 0,
      holds: 0,
      heldBytes: 0,
    }),
    storage: () => Promise.resolve({ l2: [{ tier: "fs", error: "down" }], storeQueue }),
    quotas: () => [],
    activeRequests: () => 0,
    prefetchJobs: () => 0,
    workers: () => [],
    storageThreadStuckSeconds: () => ({ storage: 0, file: 0 }),
  };
  const series = await new MetricsHarness([stateFamily], { state }).series();
  expect(Object.keys(series).filter((name) => name.includes('"fs"'))).toEqual([]);
  expect(series["lmcache_mp_l1_usage_ratio"]).toBe(0);
});

test("stateFamily shows the quotas of tenants without a label of their own as one sum, and none that is still counted", async () => {
  const quotas = () => [
    { tenant: "a", limitBytes: 10, usedBytes: 3 },
    { tenant: "b", limitBytes: 20, usedBytes: 4 },
    { tenant: "c", limitBytes: 40, usedBytes: undefined },
    { tenant: "d", limitBytes: 80, usedBytes: 5 },
  ];
  const harness = new MetricsHarness([stateFamily], { state: { ...IDLE.state, quotas }, tenantLabels: 1 });
  await harness.publish([["sm.write.reserved", { tenant: "d", succeeded: 1, failed: 0 }]]);
  const series = Object.entries(await harness.series()).filter(([name]) => name.startsWith("vitrine_quota"));
  expect(Object.fromEntries(series)).toEqual({
    'vitrine_quota_limit_bytes{cache_salt="_other"}': 70,
    'vitrine_quota_limit_bytes{cache_salt="d"}': 80,
    'vitrine_quota_used_bytes{cache_salt="_other"}': 7,
    'vitrine_quota_used_bytes{cache_salt="d"}': 5,
  });
});

test("processFamily shows the process and how late its timer was, until it is shut down", async () => {
  let nowMs = 1000;
  let tick: (() => void) | undefined;
  const process = {
    cpuUsage: () => ({ user: 1_500_000, system: 250_000 }),
    residentBytes: () => 4096,
    nowMs: () => nowMs,
    every(intervalMs: number, run: () => void) {
      expect(intervalMs).toBe(200);
      tick = run;
      return () => tick = undefined;
    },
  };
  const harness = new MetricsHarness([processFamily], { process });
  for (const passedMs of [200, 204, 700, 199]) {
    nowMs += passedMs;
    tick?.();
  }
  expect(await harness.series()).toEqual({
    'process_cpu_time_seconds_total{cpu_mode="user"}': 1.5,
    'process_cpu_time_seconds_total{cpu_mode="system"}': 0.25,
    process_memory_usage_bytes: 4096,
    process_uptime_seconds: 1.303,
    vitrine_eventloop_delay_seconds: { count: 4, sum: 0.504, buckets: { "0.00005": 2, "0.005": 1, "0.5": 1 } },
  });
  await harness.bus.stop();
  expect(tick).toBeUndefined();
});

test("thisProcess gives numbers of this process", () => {
  const { user, system } = thisProcess.cpuUsage();
  expect(user + system).toBeGreaterThan(0);
  expect(thisProcess.residentBytes()).toBeGreaterThan(1024 * 1024);
});

test("telemetryFamily shows pushes, items, correlations and log lines, and zero for what is off", async () => {
  const telemetry = {
    exports: () =>
      new Map(
        [
          ["metrics", { ok: 1, failed: 2 }],
          ["traces", { ok: 3, failed: 4, items: { exported: 5, failed: 6, dropped: 7, queued: 8 } }],
        ] as const,
      ),
    correlations: () => new Map([["tracing.requests", { pending: 9, dropped: 10 }]]),
    logLines: () => ({ written: 11, suppressed: 12, lost: 13 }),
  };
  const harness = new MetricsHarness([telemetryFamily], { telemetry });
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

test("eventBusFamily shows what the bus counts, and every event type at zero", async () => {
  const harness = new MetricsHarness([eventBusFamily]);
  const { bus } = harness;
  bus.subscribe({
    name: "broken",
    subscriptions: {
      "l1.eviction.tick": () => {
        throw new Error("broken on purpose");
      },
    },
  });
  for (let ticks = 0; ticks < 3; ticks++) bus.publish("l1.eviction.tick", { triggered: "false", keys: 0, bytes: 0 });
  await bus.flush();
  expect(await harness.nonZero()).toEqual({
    'lmcache_mp_event_bus_subscriber_exceptions_total{subscriber_name="broken"}': 1,
    'vitrine_eventbus_events_total{event="l1.eviction.tick",state="published"}': 3,
    'vitrine_eventbus_events_total{event="l1.eviction.tick",state="rolled_up"}': 3,
  });
  expect(await harness.series()).toMatchObject({
    lmcache_mp_event_bus_queue_depth: 0,
    lmcache_mp_event_bus_drain_lag_seconds: 0,
    lmcache_mp_event_bus_dropped_events_total: 0,
    'lmcache_mp_event_bus_subscriber_exceptions_total{subscriber_name="metrics.event_bus"}': 0,
    'vitrine_eventbus_events_total{event="http.request.end",state="lost"}': 0,
    'vitrine_eventbus_shed_events_total{event="http.request.end"}': 0,
  });
});

test("eventBusFamily adds up what was lost and shows depth and lag", async () => {
  const counts = { published: 10, delivered: 3, rolledUp: 4, lost: 3, shed: 2, pending: 1 };
  const busStats = () => ({
    depth: 5,
    lagSeconds: 1.5,
    events: new Map([["l1.removed", counts], ["l2.removed", counts]] as const),
    subscriberExceptions: new Map<string, number>(),
  });
  expect(await new MetricsHarness([eventBusFamily], { busStats }).series()).toMatchObject({
    lmcache_mp_event_bus_queue_depth: 5,
    lmcache_mp_event_bus_drain_lag_seconds: 1.5,
    lmcache_mp_event_bus_dropped_events_total: 6,
    'vitrine_eventbus_events_total{event="l2.removed",state="delivered"}': 3,
    'vitrine_eventbus_shed_events_total{event="l1.removed"}': 2,
  });
});
