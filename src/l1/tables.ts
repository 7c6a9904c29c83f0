import { AdmissionOrder } from "./arena/admission_order.ts";
import { Allocator } from "./arena/allocator.ts";
import { type Arena, Counters } from "./arena/arena.ts";
import { EntryTable } from "./arena/entry_table.ts";
import type { EvictionPolicy, PolicyFactory } from "./eviction/policy.ts";
import { HitTable } from "./arena/hit_table.ts";
import { COUNTER } from "./arena/layout.ts";
import { LeaseTable } from "./arena/lease_table.ts";
import { DirtyOrder } from "./arena/dirty_order.ts";
import { QuotaTable } from "./arena/quota_table.ts";
import type { Clock } from "../core/clock.ts";
import type { Publish } from "../core/events.ts";
import type { EventMap } from "../events/catalogue.ts";
import type { L1RemovalListener } from "./l1.ts";
import { lru } from "./eviction/lru.ts";
import { s3Fifo } from "./eviction/s3_fifo.ts";

/** Eviction policies by the names that settings use. */
export const evictionPolicies = {
  "s3-fifo": s3Fifo,
  lru,
} as const satisfies Record<string, PolicyFactory>;

/** Name of an eviction policy. */
export type EvictionPolicyName = keyof typeof evictionPolicies;

/** Options of one thread's view of L1. */
export interface L1Options {
  /** This thread's number, at least 1, unique among the threads that share the arena. */
  readonly workerId: number;
  readonly clock: Clock;
  /** Called without the lock. Exceptions are dropped, because the published operation has already happened. */
  readonly publish: Publish<EventMap>;
  /** Default: removals are not reported. */
  readonly onRemoved?: L1RemovalListener;
  readonly policy: EvictionPolicyName;
  /** Size of the largest object that is admitted, in bytes. */
  readonly admissionLimitBytes: number;
  readonly readLeaseMs: number;
  readonly writeLeaseMs: number;
  /** Shares of the arena (0-1) at which eviction starts and stops. */
  readonly highWatermark: number;
  readonly lowWatermark: number;
  /** True for exactly one thread, before the others start: initialises the tables in new memory. */
  readonly format: boolean;
}

/** One thread's view of the tables of an arena. The caller holds the arena's lock, except where a method needs none. */
export interface Tables {
  readonly arena: Arena;
  readonly counters: Counters;
  readonly allocator: Allocator;
  readonly entries: EntryTable;
  readonly leases: LeaseTable;
  readonly hits: HitTable;
  readonly policy: EvictionPolicy;
  readonly admissions: AdmissionOrder;
  readonly dirty: DirtyOrder;
  readonly quotas: QuotaTable;
}

/** Opens a thread's view of the tables. `format` initialises them, on zeroed memory that no other thread uses yet. */
export function openTables(
  arena: Arena,
  options: { readonly workerId: number; readonly policy: EvictionPolicyName; readonly format: boolean },
): Tables {
  const counters = new Counters(arena);
  const allocator = new Allocator(arena, counters);
  const entries = new EntryTable(arena, counters, allocator);
  const leases = new LeaseTable(arena, counters, options.workerId);
  const hits = new HitTable(arena, counters, options.workerId);
  const quotas = new QuotaTable(arena, counters);
  if (options.format) {
    allocator.format();
    entries.format();
    leases.format();
    hits.format();
    quotas.format();
    const { stagingGranules, residents, sweepHand, repairs, admissions, evicting } = COUNTER;
    for (const name of [stagingGranules, residents, sweepHand, repairs, admissions, evicting]) counters.set(name, 0);
    counters.payloadBytes = 0;
    counters.dirtyBytes = 0;
  }
  const policy = evictionPolicies[options.policy](arena, entries, options.format);
  const admissions = new AdmissionOrder(arena, entries, { counters, format: options.format });
  const dirty = new DirtyOrder(arena, entries, { counters, format: options.format });
  return { arena, counters, allocator, entries, leases, hits, policy, admissions, dirty, quotas };
}
