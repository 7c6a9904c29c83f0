import type { Subscriber, Subscriptions } from "../../../events/subscriber.ts";
import type { Instruments } from "../support/instruments.ts";

/** Counts and times the commits of file tiers, and what it takes to keep their folders tidy. */
export class L2CommitMetrics implements Subscriber {
  readonly name = "metrics.l2_commits";
  readonly subscriptions: Subscriptions;

  constructor(instruments: Instruments) {
    const committed = instruments.histogram("vitrine_l2_commit_changes");
    const durations = {
      commit: instruments.histogram("vitrine_l2_commit_duration_seconds"),
      sync: instruments.histogram("vitrine_l2_commit_sync_duration_seconds"),
    };
    const reclaimed = instruments.counter("vitrine_l2_reclaimed_bytes_total");
    const copied = instruments.counter("vitrine_l2_reclaim_copied_bytes_total");
    const failures = instruments.counter("vitrine_l2_cleanup_failures_total");
    this.subscriptions = {
      "l2.committed": ({ tier, changes, count }) => committed.record(changes, { count, attributes: { tier } }),
      "l2.commit.timed": ({ tier, part, seconds, count }) =>
        durations[part].record(seconds, { count, attributes: { tier } }),
      "l2.reclaimed": ({ tier, bytes, copiedBytes }) => {
        reclaimed.add(bytes, { tier });
        copied.add(copiedBytes, { tier });
      },
      "l2.cleanup_failed": ({ tier, count }) => failures.add(count, { tier }),
    };
  }
}
