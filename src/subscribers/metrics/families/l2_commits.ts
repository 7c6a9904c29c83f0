import { COUNT_BOUNDS, LATENCY_BOUNDS } from "../../../events/catalogue.ts";
import { counter, type Family, histogram } from "../metric.ts";

const BY_TIER = { labels: ["tier"], zero: [{ tier: "adapters" }] } as const;

/** The changes that the owner of a file tier's folder makes in it, and its tidying up. */
export const l2CommitsFamily: Family = {
  name: "metrics.l2_commits",
  metrics: [
    histogram("vitrine_l2_commit_changes", {
      ...BY_TIER,
      unit: "{change}",
      help:
        "Changes that a commit of a tier made together: objects stored, deleted, found damaged. Its count is the number of commits.",
      answers: "How many objects share a write, a sync and a transaction?",
      bounds: COUNT_BOUNDS,
    }).on("l2.committed", ({ changes, tier }) => [changes, { tier }]),
    histogram("vitrine_l2_commit_duration_seconds", {
      ...BY_TIER,
      unit: "s",
      help: "Time that a commit of a tier takes.",
      answers: "How long does a change keep the folder from the next one?",
      bounds: LATENCY_BOUNDS,
    }).on("l2.commit.timed", ({ part, seconds, tier }) => part === "commit" ? [seconds, { tier }] : undefined),
    histogram("vitrine_l2_commit_sync_duration_seconds", {
      ...BY_TIER,
      unit: "s",
      help:
        "Time that a commit of a tier waits for stable storage; only commits with a change that must be durable wait, and hardly at all with fsync=off.",
      answers: "How fast does the disk sync, and how many syncs are there?",
      bounds: LATENCY_BOUNDS,
    }).on("l2.commit.timed", ({ part, seconds, tier }) => part === "sync" ? [seconds, { tier }] : undefined),
    counter("vitrine_l2_reclaimed_bytes_total", {
      ...BY_TIER,
      unit: "By",
      help: "Bytes of the segments that a tier has dropped.",
      answers: "How fast does the room of dead objects come back?",
    }).on("l2.reclaimed", ({ bytes, tier }) => [bytes, { tier }]),
    counter("vitrine_l2_reclaim_copied_bytes_total", {
      ...BY_TIER,
      unit: "By",
      help: "Bytes of living objects that a tier has moved out of segments before it dropped them.",
      answers: "What does it cost to get the room back? Near the bytes reclaimed: the tier is too full.",
    }).on("l2.reclaimed", ({ copiedBytes, tier }) => [copiedBytes, { tier }]),
    counter("vitrine_l2_cleanup_failures_total", {
      ...BY_TIER,
      unit: "{failure}",
      help:
        "Times that a tier could not remove a file that is no longer needed, or could not tidy up its folder; it tries again.",
      answers: "Does rubbish stay on the disk? The log says why.",
    }).on("l2.cleanup_failed", ({ count, tier }) => [count, { tier }]),
  ],
};
