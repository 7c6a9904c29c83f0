import type { Subscriber } from "../../events/subscriber.ts";
import type { Instruments } from "./support/instruments.ts";
import type { StateSource, WorkerState } from "./support/state_source.ts";

/** What runs, and since when. */
export interface Build {
  readonly version: string;
  /** E.g. "bun 1.4.5". */
  readonly runtime: string;
  /** When the server started, in milliseconds since the epoch. */
  readonly startMs: number;
}

const WORKER_STATES: readonly WorkerState[] = ["starting", "ready", "stopping", "gone", "stuck"];

/** Shows how things stand. No event feeds it: it looks when the metrics are collected. */
export class StateMetrics implements Subscriber {
  readonly name = "metrics.state";
  readonly subscriptions = {};

  constructor(instruments: Instruments, { state, build }: { readonly state: StateSource; readonly build: Build }) {
    const objects = instruments.gauge("vitrine_objects");
    const used = instruments.gauge("vitrine_used_bytes");
    const limit = instruments.gauge("vitrine_limit_bytes");
    const oldest = instruments.gauge("vitrine_oldest_entry_age_seconds");
    const l1Used = instruments.gauge("lmcache_mp_l1_memory_usage_bytes");
    const l1Ratio = instruments.gauge("lmcache_mp_l1_usage_ratio");
    const l1Staging = instruments.gauge("lmcache_mp_l1_staging_bytes");
    const repairs = instruments.observedCounter("vitrine_l1_repairs_total");
    instruments.meter.addBatchObservableCallback((result) => {
      const l1 = state.l1();
      result.observe(objects, l1.objects, { tier: "l1" });
      result.observe(used, l1.usedBytes, { tier: "l1" });
      result.observe(limit, l1.capacityBytes, { tier: "l1" });
      result.observe(l1Used, l1.usedBytes);
      result.observe(l1Ratio, l1.capacityBytes === 0 ? 0 : l1.usedBytes / l1.capacityBytes);
      result.observe(l1Staging, l1.stagingBytes);
      if (l1.oldestAgeSeconds !== undefined) result.observe(oldest, l1.oldestAgeSeconds, { tier: "l1" });
      result.observe(repairs, l1.repairs);
    }, [objects, used, limit, oldest, l1Used, l1Ratio, l1Staging, repairs]);

    const l2Used = instruments.gauge("lmcache_mp_l2_usage_bytes");
    const queueEntries = instruments.gauge("vitrine_store_queue_entries");
    const queueBytes = instruments.gauge("vitrine_store_queue_bytes");
    const queueAge = instruments.gauge("vitrine_store_queue_oldest_age_seconds");
    instruments.meter.addBatchObservableCallback(async (result) => {
      const { l2, storeQueue } = await state.storage();
      for (const { tier, objects: tierObjects, usedBytes, limitBytes, oldestAgeSeconds } of l2) {
        if (oldestAgeSeconds !== undefined) result.observe(oldest, oldestAgeSeconds, { tier });
        if (tierObjects !== undefined) result.observe(objects, tierObjects, { tier });
        if (limitBytes !== undefined) result.observe(limit, limitBytes, { tier });
        if (usedBytes === undefined) continue;
        result.observe(used, usedBytes, { tier });
        result.observe(l2Used, usedBytes, { l2_name: tier });
      }
      result.observe(queueEntries, storeQueue.entries);
      result.observe(queueBytes, storeQueue.bytes);
      result.observe(queueAge, storeQueue.oldestAgeSeconds);
    }, [objects, used, limit, oldest, l2Used, queueEntries, queueBytes, queueAge]);

    instruments.gauge("http_server_active_requests").addCallback((result) => result.observe(state.activeRequests()));
    instruments.gauge("vitrine_workers").addCallback((result) => {
      const workers = state.workers();
      for (const each of WORKER_STATES) {
        result.observe(workers.filter((worker) => worker === each).length, { state: each });
      }
    });
    instruments.gauge("vitrine_storage_thread_stuck_seconds")
      .addCallback((result) => result.observe(state.storageThreadStuckSeconds()));
    const { version, runtime, startMs } = build;
    instruments.gauge("vitrine_build_info").addCallback((result) => result.observe(1, { version, runtime }));
    instruments.gauge("vitrine_start_time_seconds").addCallback((result) => result.observe(startMs / 1000));
  }
}
