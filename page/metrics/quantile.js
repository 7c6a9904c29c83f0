// @ts-check

/** @typedef {import("./scrape.js").Sample} Sample */

/** @param {readonly Sample[]} samples */
function cumulativeBuckets(samples) {
  /** @type {Map<number, number>} */
  const counts = new Map();
  for (const { labels, value } of samples) {
    const bound = Number((labels["le"] ?? "").replace("Inf", "Infinity"));
    counts.set(bound, (counts.get(bound) ?? 0) + value);
  }
  return Array.from(counts, ([bound, count]) => ({ bound, count })).sort((a, b) => a.bound - b.bound);
}

/**
 * Prometheus' `histogram_quantile` over the `_bucket` samples of series with the same bounds: straight lines between
 * the bounds, the first bucket begins at 0, and what lies above the last bound counts as that bound. Undefined if
 * nothing was observed.
 * @param {number} q from 0 to 1
 * @param {readonly Sample[]} samples
 * @returns {number | undefined}
 */
export function quantile(q, samples) {
  const buckets = cumulativeBuckets(samples);
  const total = buckets.at(-1)?.count ?? 0;
  if (total === 0) return undefined;
  const rank = q * total;
  const index = buckets.findIndex(({ count }) => count >= rank);
  const { bound, count } = buckets[index] ?? { bound: Infinity, count: total };
  const below = buckets[index - 1] ?? { bound: 0, count: 0 };
  if (bound === Infinity) return below.bound;
  return below.bound +
    (bound - below.bound) * (count === below.count ? 1 : (rank - below.count) / (count - below.count));
}
