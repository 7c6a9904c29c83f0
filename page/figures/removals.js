// @ts-check

/** @typedef {import("../metrics/metrics_window.js").View} View */

const levels = [
  { level: "L1", objects: "vitrine_l1_removed_objects_total", bytes: "vitrine_l1_removed_bytes_total" },
  { level: "L2", objects: "vitrine_l2_removed_objects_total", bytes: "vitrine_l2_removed_bytes_total" },
];

/**
 * Why objects left, since the server's start and a second now; the most frequent first. Reasons that never occurred are
 * there with zeros.
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
