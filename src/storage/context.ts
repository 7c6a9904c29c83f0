import type { Clock } from "../core/clock.ts";
import { VitrineError } from "../core/errors.ts";
import type { Publish } from "../core/events.ts";
import type { EventMap } from "../events/catalogue.ts";
import type { L1 } from "../l1/l1.ts";
import type { L2Adapter, L2Reader } from "../l2/adapter.ts";
import { KeyLock } from "./shared/key_lock.ts";
import type { SharedKeys } from "./shared/shared_keys.ts";
import { Tier } from "./tiers/tier.ts";
import { TierReader } from "./tiers/tier_reader.ts";
import { LeaseRenewer, Poller, systemTimers, type Timers } from "./timers.ts";

/** Objects that the parts of the storage manager share. */
export interface StorageContext {
  readonly l1: L1;
  /** In the order in which they are asked. */
  readonly tiers: readonly TierReader[];
  readonly publish: Publish<EventMap>;
  readonly clock: Clock;
  readonly timers: Timers;
  /** Milliseconds for which L1 may use a clean object without asking the tiers again: the least that a tier allows. */
  readonly maxAgeMs: number;
  /** State that all threads share. */
  readonly shared: SharedKeys;
  readonly keyLock: KeyLock;
  readonly poller: Poller;
  readonly renewer: LeaseRenewer;
}

/** The context of the thread that owns the tiers. */
export interface OwnerContext extends StorageContext {
  readonly tiers: readonly Tier[];
  /** The tiers in which objects are stored. */
  readonly storeTiers: readonly Tier[];
  /** The other tiers (`store=off`). What is overwritten is removed there, so that they hold nothing older. */
  readonly otherTiers: readonly Tier[];
}

/**
 * For the errors of L1: throws them, except the one that says that this thread was declared dead while it still runs.
 */
export function ignoreFenced(error: unknown): void {
  if (!(error instanceof VitrineError && error.code === "shutting_down")) throw error;
}

/** Options of a StorageContext, except for the tiers. */
export interface ContextOptions {
  readonly l1: L1;
  readonly publish: Publish<EventMap>;
  readonly clock: Clock;
  /** Time for which L1 keeps a lease that is not renewed, in milliseconds. */
  readonly leaseMs: number;
  /** This thread's view of the state that all threads over one L1 share. */
  readonly shared: SharedKeys;
  /** Time for which a reader waits for a change by another thread, in milliseconds (default: unlimited). */
  readonly patienceMs?: number | undefined;
  /** Default: the runtime's timers. */
  readonly timers?: Timers;
}

/**
 * Opens the context of a thread that reads the tiers. They are in the order in which they are asked, the same in all
 * threads, at most 31.
 */
export function openReaderContext(tiers: readonly L2Reader[], options: ContextOptions): StorageContext {
  const parts = openParts(options, tiers.length > 0);
  const readers = tiers.map((adapter, index) => new TierReader(adapter, { ...parts, index }));
  return { ...parts, tiers: readers, maxAgeMs: maxAgeOf(readers) };
}

/** Opens the context of the thread that owns the tiers. Every object is stored in all that take stores. */
export function openOwnerContext(adapters: readonly L2Adapter[], options: ContextOptions): OwnerContext {
  const parts = openParts(options, adapters.length > 0);
  const tiers = adapters.map((adapter, index) => new Tier(adapter, { ...parts, index }));
  const storeTiers = tiers.filter(({ takesStores }) => takesStores);
  const otherTiers = tiers.filter((tier) => !storeTiers.includes(tier));
  return { ...parts, tiers, storeTiers, otherTiers, maxAgeMs: maxAgeOf(tiers) };
}

function maxAgeOf(tiers: readonly TierReader[]): number {
  return Math.min(...tiers.map(({ maxAgeMs }) => maxAgeMs ?? Infinity));
}

function openParts(options: ContextOptions, hasTiers: boolean): Omit<StorageContext, "tiers" | "maxAgeMs"> {
  const { l1, publish, clock, timers = systemTimers, shared } = options;
  const poller = new Poller(timers);
  const patienceMs = options.patienceMs ?? Infinity;
  return {
    l1,
    publish,
    clock,
    timers,
    shared,
    poller,
    keyLock: new KeyLock({ stripes: shared.stripes, poller, clock, patienceMs, isShown: hasTiers }),
    renewer: new LeaseRenewer(l1, { leaseMs: options.leaseMs, timers }),
  };
}
