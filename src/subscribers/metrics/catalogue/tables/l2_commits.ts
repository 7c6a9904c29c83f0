import { COUNT_BOUNDS, LATENCY_BOUNDS } from "../../../../events/catalogue.ts";
import type { MetricRow } from "../table_row.ts";

const BY_TIER = { labels: ["tier"], zero: [{ tier: "adapters" }] } as const;
const TIMED = { kind: "histogram", unit: "s", from: ["l2.commit.timed"], bounds: LATENCY_BOUNDS, ...BY_TIER } as const;
const RECLAIMED = { kind: "counter", unit: "By", from: ["l2.reclaimed"], ...BY_TIER } as const;

/** How the owner of a file tier's folder changes it, and keeps it tidy. */
export const l2CommitsTable = {
  vitrine_l2_commit_changes: {
    kind: "histogram",
    unit: "{change}",
    help:
      "Changes that a commit of a tier made together: objects stored, deleted, found damaged. Its count is the number of commits.",
    answers: "How many objects share a write, a sync and a transaction?",
    from: ["l2.committed"],
    bounds: COUNT_BOUNDS,
    ...BY_TIER,
  },
  vitrine_l2_commit_duration_seconds: {
    ...TIMED,
    help: "Time that a commit of a tier takes.",
    answers: "How long does a change keep the folder from the next one?",
  },
  vitrine_l2_commit_sync_duration_seconds: {
    ...TIMED,
    help:
      "Time that a commit of a tier waits for stable storage; only commits with a change that must be durable wait, and hardly at all with fsync=off.",
    answers: "How fast does the disk sync, and how many syncs are there?",
  },
  vitrine_l2_reclaimed_bytes_total: {
    ...RECLAIMED,
    help: "Bytes of the segments that a tier has dropped.",
    answers: "How fast does the room of dead objects come back?",
  },
  vitrine_l2_reclaim_copied_bytes_total: {
    ...RECLAIMED,
    help: "Bytes of living objects that a tier has moved out of segments before it dropped them.",
    answers: "What does it cost to get the room back? Near the bytes reclaimed: the tier is too full.",
  },
  vitrine_l2_cleanup_failures_total: {
    kind: "counter",
    unit: "{failure}",
    help:
      "Times that a tier could not remove a file that is no longer needed, or could not tidy up its folder; it tries again.",
    answers: "Does rubbish stay on the disk? The log says why.",
    from: ["l2.cleanup_failed"],
    ...BY_TIER,
  },
} as const satisfies Record<string, MetricRow>;
