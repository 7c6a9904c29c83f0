// @ts-check

/**
 * Where the axis of a chart has its marks, in seconds before now: full minutes, or half ones as long as there are few;
 * the oldest first.
 * @param {number} spanSeconds
 * @returns {readonly number[]}
 */
export function timeMarks(spanSeconds) {
  const step = spanSeconds < 150 ? 30 : 60;
  const count = Math.floor(spanSeconds / step) + 1;
  return Array.from({ length: count }, (_, index) => step * (count - 1 - index));
}

/**
 * What stands at a mark.
 * @param {number} secondsAgo
 */
export function timeLabel(secondsAgo) {
  const seconds = Math.round(secondsAgo);
  if (seconds === 0) return "now";
  return seconds % 60 === 0 ? `−${seconds / 60} min` : `−${seconds} s`;
}
