// @ts-check
import { quantile } from "../scrape.js";

/** @typedef {import("../metrics_window.js").View} View */
/** @typedef {import("../scrape.js").Where} Where */

/** @type {Where} */
const isFailure = ({ outcome }) => outcome === "error" || outcome === "failed";

/**
 * The use of each tier, L1 first. A limit of 0 bytes means none. What the tier does not know is undefined.
 * @param {View} view
 */
export function tiersOf({ now }) {
  const names = [now.by("vitrine_used_bytes", "tier"), now.by("vitrine_l2_requests_total", "tier")];
  const tiers = [...new Set(names.flatMap((each) => [...each.keys()]))].sort((a, b) =>
    Number(b === "l1") - Number(a === "l1") || a.localeCompare(b)
  );
  return tiers.map((tier) => {
    /** @type {Where} */
    const ofTier = (labels) => labels["tier"] === tier;
    const isKnown = now.samples("vitrine_used_bytes", ofTier).length > 0;
    return {
      tier,
      objects: isKnown ? now.sum("vitrine_objects", ofTier) : undefined,
      usedBytes: isKnown ? now.sum("vitrine_used_bytes", ofTier) : undefined,
      limitBytes: isKnown ? now.sum("vitrine_limit_bytes", ofTier) : undefined,
      oldestSeconds: now.samples("vitrine_oldest_entry_age_seconds", ofTier)[0]?.value,
      failures: now.sum("vitrine_l2_requests_total", (labels) => ofTier(labels) && isFailure(labels)),
    };
  });
}

const duration = "vitrine_l2_commit_duration_seconds_bucket";
const syncDuration = "vitrine_l2_commit_sync_duration_seconds_bucket";

/**
 * The commits in the folders of all file tiers, and the state of the storage thread and the file thread together.
 * Values of commits are undefined if there were none.
 * @param {View} view
 */
export function commitsOf({ now, grown }) {
  const commits = grown.sum("vitrine_l2_commit_changes_count");
  return {
    p50: quantile(0.5, grown.samples(duration)),
    p99: quantile(0.99, grown.samples(duration)),
    syncP99: quantile(0.99, grown.samples(syncDuration)),
    /** The mean number in one commit. */
    changes: commits > 0 ? grown.sum("vitrine_l2_commit_changes_sum") / commits : undefined,
    stuckSeconds: now.sum("vitrine_storage_thread_stuck_seconds"),
    restarts: now.sum("vitrine_storage_thread_restarts_total"),
  };
}

const levels = [
  { level: "L1", objects: "vitrine_l1_removed_objects_total", bytes: "vitrine_l1_removed_bytes_total" },
  { level: "L2", objects: "vitrine_l2_removed_objects_total", bytes: "vitrine_l2_removed_bytes_total" },
];

/**
 * The reasons of removals since the server's start, and their rates now; the most frequent first. Reasons that never
 * occurred have zeros.
 * @param {View} view
 */
export function removalsOf({ now, grown, seconds }) {
  const rows = levels.flatMap(({ level, objects, bytes }) => {
    const sizes = now.by(bytes, "reason");
    const grew = grown.by(objects, "reason");
    return Array.from(now.by(objects, "reason"), ([reason, count]) => ({
      level,
      reason,
      objects: count,
      bytes: sizes.get(reason) ?? 0,
      perSecond: seconds > 0 ? (grew.get(reason) ?? 0) / seconds : 0,
    }));
  });
  return rows.sort((a, b) => b.objects - a.objects);
}
