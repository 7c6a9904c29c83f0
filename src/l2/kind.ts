import type { Clock } from "../core/clock.ts";
import type { Publish } from "../core/publish.ts";
import type { EventMap } from "../events/catalogue.ts";
import type { L2Adapter, TierRemovalListener } from "./adapter.ts";
import type { TierUrl } from "./url.ts";

/** What every adapter gets besides its URL. */
export interface TierContext {
  /** The tier's name, unique among the tiers. */
  readonly name: string;
  readonly publish: Publish<EventMap>;
  readonly clock: Clock;
  /** Default: nobody is told. */
  readonly onRemoved?: TierRemovalListener;
}

/** One kind of adapter. */
export interface AdapterKind {
  /** The tier's name unless the URL says `?name=`; a second one of a kind gets a "2" appended, and so on. */
  readonly defaultName: string;
  /** Takes its parameters from the URL, checks that none is left, and opens the tier. Throws bad_request or tier_failed. */
  open(url: TierUrl, context: TierContext): L2Adapter | Promise<L2Adapter>;
}
