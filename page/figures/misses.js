// @ts-check

/** @typedef {import("../metrics/metrics_window.js").View} View */

const misses = "vitrine_lookup_misses_total";

/**
 * Why lookups found nothing, since the server's start and a second now; the most frequent first. Reasons that never
 * occurred are left out.
 * @param {View} view
 */
export function missesOf({ now, grown, seconds }) {
  const grew = grown.by(misses, "reason");
  return Array.from(now.by(misses, "reason"), ([reason, count]) => ({
    reason,
    count,
    perSecond: seconds > 0 ? (grew.get(reason) ?? 0) / seconds : 0,
  })).filter(({ count }) => count > 0).sort((a, b) => b.count - a.count);
}
