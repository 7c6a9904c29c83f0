// @ts-check

/** @typedef {import("../metrics/metrics_window.js").View} View */
/** @typedef {import("../metrics/scrape.js").Where} Where */

/** @type {Where} */
const isFailure = ({ outcome }) => outcome === "error" || outcome === "failed";

/**
 * How full each tier is; L1 first. A limit of 0 bytes is none; the age of a tier that does not know it is undefined.
 * @param {View} view
 */
export function tiersOf({ now }) {
  const tiers = Array.from(now.by("vitrine_used_bytes", "tier").keys()).sort((a, b) =>
    Number(b === "l1") - Number(a === "l1") || a.localeCompare(b)
  );
  return tiers.map((tier) => {
    /** @type {Where} */
    const ofTier = (labels) => labels["tier"] === tier;
    return {
      tier,
      objects: now.sum("vitrine_objects", ofTier),
      usedBytes: now.sum("vitrine_used_bytes", ofTier),
      limitBytes: now.sum("vitrine_limit_bytes", ofTier),
      oldestSeconds: now.samples("vitrine_oldest_entry_age_seconds", ofTier)[0]?.value,
      failures: now.sum("vitrine_l2_requests_total", (labels) => ofTier(labels) && isFailure(labels)),
    };
  });
}
