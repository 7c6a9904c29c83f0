import type { Subscriber, Subscriptions } from "../../../events/subscriber.ts";
import type { Tenants } from "./tenants.ts";

/**
 * Ranks tenants by the objects they look up and write. Subscribed before all who show tenants, so that a label is
 * decided before it is used.
 */
export class TenantRanking implements Subscriber {
  readonly name = "metrics.tenants";
  readonly subscriptions: Subscriptions;

  constructor(tenants: Tenants) {
    this.subscriptions = {
      "lookup.finished": ({ tenant, keys }) => tenants.count(tenant, keys),
      "sm.write.reserved": ({ tenant, succeeded }) => tenants.count(tenant, succeeded),
    };
  }
}
