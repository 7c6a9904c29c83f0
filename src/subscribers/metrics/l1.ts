import type { Delivered } from "../../events/delivered.ts";
import type { Subscriber, Subscriptions } from "../../events/subscriber.ts";
import type { Instruments } from "./support/instruments.ts";

/** Counts what happens in L1. */
export class L1Metrics implements Subscriber {
  readonly name = "metrics.l1";
  readonly subscriptions: Subscriptions;

  constructor(instruments: Instruments) {
    const readKeys = instruments.counter("lmcache_mp_l1_read_keys_total");
    const readChunks = instruments.tenantCounter("lmcache_mp_l1_read_chunks_total");
    const writeKeys = instruments.counter("lmcache_mp_l1_write_keys_total");
    const writeChunks = instruments.tenantCounter("lmcache_mp_l1_write_chunks_total");
    const evictedKeys = instruments.counter("lmcache_mp_l1_evicted_keys_total");
    const evictedChunks = instruments.tenantCounter("lmcache_mp_l1_evicted_chunks_total");
    const removedObjects = instruments.counter("vitrine_l1_removed_objects_total");
    const removedBytes = instruments.counter("vitrine_l1_removed_bytes_total");
    const ticks = instruments.counter("lmcache_mp_l1_eviction_loop_ticks_total");
    const triggered = instruments.counter("lmcache_mp_l1_eviction_loop_triggered_total");
    const allocationFailures = instruments.counter("lmcache_mp_l1_allocation_failure_chunks_total");
    const readFailures = instruments.counter("lmcache_mp_l1_read_failure_chunks_total");
    const expiredLeases = instruments.counter("vitrine_l1_lease_expired_total");

    const onWrite = ({ tenant, keys }: Delivered<"l1.write.finished" | "l1.write_finished_and_read_reserved">) => {
      writeKeys.add(keys);
      writeChunks.add(keys, tenant);
    };
    this.subscriptions = {
      "l1.read.finished": ({ tenant, keys }) => {
        readKeys.add(keys);
        readChunks.add(keys, tenant);
      },
      "l1.write.finished": onWrite,
      "l1.write_finished_and_read_reserved": onWrite,
      "l1.removed": ({ tenant, keys, bytes, reason }) => {
        evictedKeys.add(keys);
        evictedChunks.add(keys, tenant);
        removedObjects.add(keys, { reason });
        removedBytes.add(bytes, { reason });
      },
      "l1.lease.expired": ({ keys, kind }) => expiredLeases.add(keys, { kind }),
      "l1.allocation.failed": ({ keys, during }) => allocationFailures.add(keys, { during }),
      "l1.read.failed": ({ keys, during, reason }) => readFailures.add(keys, { during, reason }),
      "l1.eviction.tick": (event) => {
        ticks.add(event.count);
        if (event.triggered === "true") triggered.add(event.count);
      },
    };
  }
}
