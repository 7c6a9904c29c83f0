// @ts-check

/** @typedef {import("../metrics/metrics_window.js").View} View */

/**
 * What runs, and how it is.
 * @param {View} view
 */
export function serverOf({ now }) {
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
