import type { Subscriber, Subscriptions } from "../../../events/subscriber.ts";
import { InFlight } from "../support/in_flight.ts";
import type { Instruments } from "../support/instruments.ts";

/** Counts and times what the L2 tiers do. */
export class L2Metrics implements Subscriber {
  readonly name = "metrics.l2";
  readonly subscriptions: Subscriptions;

  /** `adapters`: the names of the tiers, in the order they are asked. */
  constructor(instruments: Instruments, adapters: readonly string[]) {
    const storesSubmitted = instruments.counter("lmcache_mp_l2_store_submitted_requests_total");
    const chunksSubmitted = instruments.tenantCounter("lmcache_mp_l2_store_submitted_objects_chunks_total");
    const storesCompleted = instruments.counter("lmcache_mp_l2_store_completed_requests_total");
    const chunksCompleted = instruments.tenantCounter("lmcache_mp_l2_store_completed_objects_chunks_total");
    const loadsCompleted = instruments.counter("lmcache_mp_l2_load_completed_requests_total");
    const evictedChunks = instruments.tenantCounter("lmcache_mp_l2_evicted_objects_chunks_total");
    const requests = instruments.counter("vitrine_l2_requests_total");
    const duration = instruments.histogram("vitrine_l2_duration_seconds");
    const bytesMoved = instruments.counter("vitrine_l2_bytes_total");
    const removedObjects = instruments.counter("vitrine_l2_removed_objects_total");
    const removedBytes = instruments.counter("vitrine_l2_removed_bytes_total");
    const stores = new InFlight(adapters);
    stores.showByTier(instruments.gauge("lmcache_mp_num_inflight_l2_stores"));

    this.subscriptions = {
      "l2.store.submitted": ({ tier, tenant, count, keys }) => {
        storesSubmitted.add(count);
        chunksSubmitted.add(keys, tenant);
        stores.add(tier, count);
      },
      "l2.store.completed": ({ tier, tenant, outcome, count, keys, bytes, seconds }) => {
        storesCompleted.add(count, { l2_name: tier });
        if (outcome === "ok") chunksCompleted.add(keys, tenant);
        stores.add(tier, -count);
        requests.add(count, { tier, op: "store", outcome });
        bytesMoved.add(bytes, { tier, op: "store" });
        duration.record(seconds, { count, attributes: { tier, op: "store" } });
      },
      "l2.load.completed": ({ tier, outcome, count, bytes, seconds }) => {
        loadsCompleted.add(count, { l2_name: tier });
        requests.add(count, { tier, op: "load", outcome });
        bytesMoved.add(bytes, { tier, op: "load" });
        duration.record(seconds, { count, attributes: { tier, op: "load" } });
      },
      "l2.lookup.completed": ({ tier, outcome, count, seconds }) => {
        requests.add(count, { tier, op: "lookup", outcome });
        duration.record(seconds, { count, attributes: { tier, op: "lookup" } });
      },
      "l2.delete.completed": ({ tier, outcome, count, seconds }) => {
        requests.add(count, { tier, op: "delete", outcome });
        duration.record(seconds, { count, attributes: { tier, op: "delete" } });
      },
      "l2.removed": ({ tier, tenant, reason, keys, bytes }) => {
        if (reason === "capacity") evictedChunks.add(keys, tenant);
        removedObjects.add(keys, { tier, reason });
        removedBytes.add(bytes, { tier, reason });
      },
    };
  }
}
