import type { Delivered } from "../../events/delivered.ts";
import type { Subscriber, Subscriptions } from "../../events/subscriber.ts";
import type { Instruments, TenantHistogram } from "./support/instruments.ts";
import { RecentKeys } from "./support/recent_keys.ts";

/** Sampled keys and tenants that are followed at a time. */
const MAX_KEYS = 65_536;
const MAX_TENANTS = 4096;

/**
 * A client's last use of an object: when, in monotonic milliseconds, and how many objects its tenant had used by then.
 */
interface Use {
  readonly timeMs: number;
  readonly objects: number;
}

/**
 * Measures, on sampled objects, how far apart a tenant's uses of one object are: in time and in objects used in
 * between.
 */
export class ReuseMetrics implements Subscriber {
  readonly name = "metrics.reuse";
  readonly subscriptions: Subscriptions;
  readonly detail = ["l1.key.sampled"] as const;
  readonly #uses = new RecentKeys<Use>(MAX_KEYS);
  /** Objects used by each tenant. */
  readonly #objects = new RecentKeys<number>(MAX_TENANTS);
  readonly #seconds: TenantHistogram;
  readonly #distance: TenantHistogram;

  constructor(instruments: Instruments) {
    this.#seconds = instruments.tenantHistogram("lmcache_mp_real_reuse_gap_seconds");
    this.#distance = instruments.tenantHistogram("lmcache_mp_real_reuse_gap_objects_chunks");
    this.subscriptions = {
      "l1.key.sampled": (event) => this.#onSampled(event),
      "sm.read.finished": ({ tenant, keys }) => this.#count(tenant, keys),
      "sm.write.finished": ({ tenant, keys, outcome }) => {
        if (outcome === "stored") this.#count(tenant, keys);
      },
    };
  }

  #count(tenant: string, keys: number): void {
    this.#objects.set(tenant, (this.#objects.get(tenant) ?? 0) + keys);
  }

  #onSampled({ tenant, action, keyHash, atMs }: Delivered<"l1.key.sampled">): void {
    if (keyHash === undefined || atMs === undefined || action === "removed") return;
    const timeMs = Number(atMs);
    const objects = this.#objects.get(tenant) ?? 0;
    const last = this.#uses.get(keyHash);
    this.#uses.set(keyHash, { timeMs, objects });
    if (action === "written" || last === undefined) return;
    this.#seconds.record(Math.max(0, (timeMs - last.timeMs) / 1000), tenant);
    this.#distance.record(Math.max(0, objects - last.objects), tenant);
  }
}
