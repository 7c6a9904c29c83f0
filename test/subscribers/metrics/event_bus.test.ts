import { expect, test } from "bun:test";
import { EventBusMetrics } from "../../../src/subscribers/metrics/event_bus.ts";
import { MetricsHarness } from "./harness.ts";

test("EventBusMetrics shows what the bus counts, and every event type at zero", async () => {
  const harness = new MetricsHarness();
  const { bus } = harness;
  bus.subscribe(new EventBusMetrics(harness.instruments, () => bus.stats()));
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

test("EventBusMetrics adds up what was lost and shows depth, lag and the channel's troubles", async () => {
  const harness = new MetricsHarness();
  const counts = { published: 10, delivered: 3, rolledUp: 4, lost: 3, shed: 2, pending: 1 };
  const stats = {
    depth: 5,
    lagSeconds: 1.5,
    events: new Map([["a", counts], ["b", counts]]),
    subscriberExceptions: new Map<string, number>(),
    resentBatches: 7,
    ignoredBatches: { duplicate: 8, gap: 9 },
    windowFullSeconds: 0.5,
    flushTimeouts: 1,
  };
  harness.bus.subscribe(new EventBusMetrics(harness.instruments, () => stats));
  expect(await harness.series()).toMatchObject({
    lmcache_mp_event_bus_queue_depth: 5,
    lmcache_mp_event_bus_drain_lag_seconds: 1.5,
    lmcache_mp_event_bus_dropped_events_total: 6,
    'vitrine_eventbus_events_total{event="b",state="delivered"}': 3,
    'vitrine_eventbus_shed_events_total{event="a"}': 2,
    vitrine_eventbus_resent_batches_total: 7,
    'vitrine_eventbus_ignored_batches_total{reason="duplicate"}': 8,
    'vitrine_eventbus_ignored_batches_total{reason="gap"}': 9,
    vitrine_eventbus_window_full_seconds_total: 0.5,
    vitrine_eventbus_flush_timeouts_total: 1,
  });
});
