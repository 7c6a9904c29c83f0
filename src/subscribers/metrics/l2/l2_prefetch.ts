import type { Subscriber, Subscriptions } from "../../../events/subscriber.ts";
import { InFlight } from "../support/in_flight.ts";
import type { Instruments } from "../support/instruments.ts";

/** Counts reads that go past L1 by LMCache's names: there a prefetch, here each read that L1 cannot serve. */
export class L2PrefetchMetrics implements Subscriber {
  readonly name = "metrics.l2_prefetch";
  readonly subscriptions: Subscriptions;

  /** `adapters`: the names of the tiers, in the order they are asked. */
  constructor(instruments: Instruments, adapters: readonly string[]) {
    const lookups = instruments.counter("lmcache_mp_l2_prefetch_lookup_requests_total");
    const lookedUp = instruments.tenantCounter("lmcache_mp_l2_prefetch_lookup_objects_chunks_total");
    const hits = instruments.counter("lmcache_mp_l2_prefetch_hit_chunks_total");
    const loads = instruments.counter("lmcache_mp_l2_prefetch_load_submitted_requests_total");
    const submitted = instruments.tenantCounter("lmcache_mp_l2_prefetch_load_submitted_objects_chunks_total");
    const completed = instruments.tenantCounter("lmcache_mp_l2_prefetch_load_completed_chunks_total");
    const failed = instruments.counter("lmcache_mp_l2_prefetch_failure_chunks_total");
    const timeouts = instruments.counter("lmcache_mp_timeouts_total");
    const running = new InFlight(adapters);
    running.showByTier(instruments.gauge("lmcache_mp_num_inflight_l2_loads"));
    running.showSum(instruments.gauge("lmcache_mp_active_prefetch_jobs"));
    const bytesRunning = new InFlight(adapters);
    bytesRunning.showByTier(instruments.gauge("lmcache_mp_inflight_load_memory_usage_bytes"));
    instruments.gauge("lmcache_mp_l2_prefetch_adapters").addCallback((result) => {
      result.observe(adapters.length, { state: "active" });
      result.observe(0, { state: "draining" });
    });
    const [first] = adapters;

    this.subscriptions = {
      "l2.lookup.completed": ({ tier, tenant, outcome, count, keys }) => {
        if (outcome === "hit") hits.add(keys);
        // The first tier is asked in every round, the others only after a miss.
        if (tier !== first) return;
        lookups.add(count);
        lookedUp.add(keys, tenant);
      },
      "l2.load.submitted": ({ tier, tenant, count, keys, bytes }) => {
        loads.add(count);
        submitted.add(keys, tenant);
        running.add(tier, count);
        bytesRunning.add(tier, bytes);
      },
      "l2.load.completed": ({ tier, tenant, outcome, count, keys, requestedBytes }) => {
        running.add(tier, -count);
        bytesRunning.add(tier, -requestedBytes);
        if (outcome === "ok") completed.add(keys, tenant);
        if (outcome === "failed") failed.add(keys, { reason: "tier_error" });
      },
      "l1.allocation.failed": ({ during, keys }) => {
        if (during === "l2_prefetch") failed.add(keys, { reason: "l1_oom" });
      },
      "timeout.raised": ({ exceptionType, count }) => timeouts.add(count, { exception_type: exceptionType }),
    };
  }
}
