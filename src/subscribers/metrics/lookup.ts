import type { Subscriber, Subscriptions } from "../../events/subscriber.ts";
import type { Instruments } from "./support/instruments.ts";

/** Counts lookups: both sides of every hit rate, from one event. */
export class LookupMetrics implements Subscriber {
  readonly name = "metrics.lookup";
  readonly subscriptions: Subscriptions;

  constructor(instruments: Instruments) {
    const lookups = instruments.counter("vitrine_lookups_total");
    const misses = instruments.counter("vitrine_lookup_misses_total");
    const requests = instruments.tenantCounter("lmcache_mp_lookups_requests_total");
    const requested = instruments.tenantCounter("lmcache_mp_lookup_requested_tokens_total");
    const hit = instruments.tenantCounter("lmcache_mp_lookup_hit_tokens_total");
    const l1Tokens = instruments.tenantCounter("lmcache_mp_lookup_hit_l1_tokens_total");
    const l1Keys = instruments.tenantCounter("lmcache_mp_lookup_hit_l1_keys_total");
    const l2Tokens = instruments.tenantCounter("lmcache_mp_lookup_hit_l2_tokens_total");
    const l2Keys = instruments.tenantCounter("lmcache_mp_lookup_hit_l2_keys_total");
    const loaded = instruments.tenantCounter("lmcache_mp_num_chunks_loaded_total");
    this.subscriptions = {
      "lookup.finished": ({ tenant, tier, result, reason, count, keys }) => {
        lookups.add(keys, { tier: tier === "" ? "none" : tier, result });
        requests.add(count, tenant);
        requested.add(keys, tenant);
        if (result === "miss") misses.add(keys, { reason });
        if (result !== "hit") return;
        hit.add(keys, tenant);
        const [tokens, objects] = tier === "l1" ? [l1Tokens, l1Keys] : [l2Tokens, l2Keys];
        tokens.add(keys, tenant);
        objects.add(keys, tenant);
      },
      "sm.read.finished": ({ tenant, keys }) => loaded.add(keys, tenant),
    };
  }
}
