// @ts-check
import { commitsOf, removalsOf, tiersOf } from "./storage.js";
import { missesOf, tenantsOf, trafficOf } from "./traffic.js";

/** @typedef {import("../metrics_window.js").View} View */
/** @typedef {import("../scrape.js").Where} Where */

/**
 * The process, its workers and the store queue.
 * @param {View} view
 */
function serverOf({ now }) {
  const build = now.samples("vitrine_build_info")[0]?.labels ?? {};
  return {
    version: build["version"] ?? "",
    runtime: build["runtime"] ?? "",
    uptimeSeconds: now.sum("process_uptime_seconds"),
    workersReady: now.sum("vitrine_workers", ({ state }) => state === "ready"),
    workers: now.sum("vitrine_workers", ({ state }) => state !== "gone"),
    workersReplaced: now.sum("vitrine_worker_restarts_total"),
    memoryBytes: now.sum("process_memory_usage_bytes"),
    stagingBytes: now.sum("lmcache_mp_l1_staging_bytes"),
    storeQueueEntries: now.sum("vitrine_store_queue_entries"),
    storeQueueBytes: now.sum("vitrine_store_queue_bytes"),
    storeQueueAgeSeconds: now.sum("vitrine_store_queue_oldest_age_seconds"),
  };
}

const events = "vitrine_eventbus_events_total";

/** @type {(state: string) => Where} */
const inState = (state) => (labels) => labels["state"] === state;

/**
 * The events by their state: published = delivered + rolled up + lost, when none is in transit.
 * @param {View} view
 */
function busOf({ now, grown, seconds }) {
  /** @param {string} state */
  const perSecond = (state) => seconds > 0 ? grown.sum(events, inState(state)) / seconds : 0;
  return {
    published: now.sum(events, inState("published")),
    delivered: now.sum(events, inState("delivered")),
    rolledUp: now.sum(events, inState("rolled_up")),
    lost: now.sum(events, inState("lost")),
    shed: now.sum("vitrine_eventbus_shed_events_total"),
    queueDepth: now.sum("lmcache_mp_event_bus_queue_depth"),
    lagSeconds: now.sum("lmcache_mp_event_bus_drain_lag_seconds"),
    exceptions: now.sum("lmcache_mp_event_bus_subscriber_exceptions_total"),
    publishedPerSecond: perSecond("published"),
    deliveredPerSecond: perSecond("delivered"),
    rolledUpPerSecond: perSecond("rolled_up"),
  };
}

/** @typedef {ReturnType<typeof figuresOf>} Figures */

/**
 * All figures of the page.
 * @param {View} view
 */
export function figuresOf(view) {
  return {
    server: serverOf(view),
    traffic: trafficOf(view),
    tiers: tiersOf(view),
    commits: commitsOf(view),
    misses: missesOf(view),
    removals: removalsOf(view),
    tenants: tenantsOf(view),
    bus: busOf(view),
  };
}
