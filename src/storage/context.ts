import type { Clock } from "../core/clock.ts";
import type { Publish } from "../core/events.ts";
import type { EventMap } from "../events/catalogue.ts";
import type { L1 } from "../l1/types.ts";
import type { L2Adapter } from "../l2/adapter.ts";
import { KeyLatch } from "./key_latch.ts";
import { LeaseKeeper } from "./lease_keeper.ts";
import { Poller } from "./poller.ts";
import { allocateSharedKeys } from "./shared/memory.ts";
import { SharedKeys } from "./shared/shared_keys.ts";
import { Tier } from "./tiers/tier.ts";
import { systemTimers, type Timers } from "./timers.ts";

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

/** What a StorageContext is made of. */
export interface ContextOptions {
  readonly l1: L1;
  /**
   * In the order they are asked, the same in all threads that share L1, at most 31; every object is stored in all of
   * them.
   */
  readonly tiers: readonly L2Adapter[];
  readonly publish: Publish<EventMap>;
  readonly clock: Clock;
  /** How long L1 keeps a lease that nobody renews, in milliseconds. */
  readonly leaseMs: number;
  /**
   * This thread's part in what all threads over one L1 share; needed as soon as there is more than one (default:
   * private).
   */
  readonly shared?: SharedKeys;
  /** How long a reader waits for a change that another thread makes, in milliseconds (default: as long as it takes). */
  readonly patienceMs?: number | undefined;
  /** Default: the runtime's. */
  readonly timers?: Timers;
}

/** One thread's context. */
export function openContext(options: ContextOptions): StorageContext {
  const { l1, publish, clock, timers = systemTimers, shared = privateKeys() } = options;
  const poller = new Poller(timers);
  const assertAlive = () => l1.assertAlive();
  const { stripes } = shared;
  const isShown = options.tiers.length > 0;
  const patienceMs = options.patienceMs ?? Infinity;
  return {
    l1,
    publish,
    clock,
    timers,
    tiers: options.tiers.map((adapter, index) => new Tier(adapter, { publish, clock, shared, index, assertAlive })),
    shared,
    poller,
    latch: new KeyLatch({ stripes, poller, clock, patienceMs, isShown }),
    keeper: new LeaseKeeper(l1, { leaseMs: options.leaseMs, timers }),
  };
}

/** What a thread that is alone shares with nobody. */
function privateKeys(): SharedKeys {
  return new SharedKeys(allocateSharedKeys({ hashSeed: 0 }, "private"), 1);
}
