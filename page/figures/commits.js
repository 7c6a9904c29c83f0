// @ts-check
import { quantile } from "../metrics/quantile.js";

/** @typedef {import("../metrics/metrics_window.js").View} View */

const duration = "vitrine_l2_commit_duration_seconds_bucket";
const syncDuration = "vitrine_l2_commit_sync_duration_seconds_bucket";

/**
 * The commits of the storage thread in the folders of all file tiers, and the state of that thread. Numbers that are
 * measured on commits are undefined where there were none.
 * @param {View} view
 */
export function commitsOf({ now, grown }) {
  const commits = grown.sum("vitrine_l2_commit_changes_count");
  return {
    p50: quantile(0.5, grown.samples(duration)),
    p99: quantile(0.99, grown.samples(duration)),
    syncP99: quantile(0.99, grown.samples(syncDuration)),
    /** On average, in one commit. */
    changes: commits > 0 ? grown.sum("vitrine_l2_commit_changes_sum") / commits : undefined,
    stuckSeconds: now.sum("vitrine_storage_thread_stuck_seconds"),
    restarts: now.sum("vitrine_storage_thread_restarts_total"),
  };
}
