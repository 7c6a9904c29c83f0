import type { Clock } from "../core/clock.ts";
import type { Publish } from "../core/publish.ts";
import type { EventMap } from "../events/catalogue.ts";
import type { L1 } from "../l1/types.ts";
import type { KeyLatch } from "./key_latch.ts";
import type { LeaseKeeper } from "./lease_keeper.ts";
import type { Poller } from "./poller.ts";
import type { SharedKeys } from "./shared/shared_keys.ts";
import type { Tier } from "./tiers/tier.ts";
import type { Timers } from "./timers.ts";

/** What the parts of the storage manager share. */
export interface StorageContext {
  readonly l1: L1;
  /** In the order they are asked. */
  readonly tiers: readonly Tier[];
  readonly publish: Publish<EventMap>;
  readonly clock: Clock;
  readonly timers: Timers;
  /** What is common to all threads. */
  readonly shared: SharedKeys;
  readonly latch: KeyLatch;
  readonly poller: Poller;
  readonly keeper: LeaseKeeper;
}
