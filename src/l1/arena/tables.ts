import { AdmissionOrder } from "./admission_order.ts";
import { Allocator } from "./allocator.ts";
import type { Arena } from "./arena.ts";
import { Counters } from "./counters.ts";
import { EntryTable } from "./entry_table.ts";
import { evictionPolicies, type EvictionPolicyName } from "../eviction/mod.ts";
import type { EvictionPolicy } from "../eviction/policy.ts";
import { COUNTER } from "./layout.ts";
import { LeaseTable } from "./lease_table.ts";
import { DirtyOrder } from "./dirty_order.ts";

/** One thread's view of the tables of an arena. The caller holds the arena's lock, except where a method needs none. */
export interface Tables {
  readonly arena: Arena;
  readonly counters: Counters;
  readonly allocator: Allocator;
  readonly entries: EntryTable;
  readonly leases: LeaseTable;
  readonly policy: EvictionPolicy;
  readonly admissions: AdmissionOrder;
  readonly dirty: DirtyOrder;
}

/** Opens a thread's view of the tables. `format` initialises them, on zeroed memory that no other thread uses yet. */
export function openTables(
  arena: Arena,
  options: { readonly holder: number; readonly policy: EvictionPolicyName; readonly format: boolean },
): Tables {
  const counters = new Counters(arena);
  const allocator = new Allocator(arena, counters);
  const entries = new EntryTable(arena, counters, allocator);
  const leases = new LeaseTable(arena, counters, options.holder);
  if (options.format) {
    allocator.format();
    entries.format();
    leases.format();
    const { stagingGranules, residents, sweepHand, repairs, admissions, evicting } = COUNTER;
    for (const name of [stagingGranules, residents, sweepHand, repairs, admissions, evicting]) counters.set(name, 0);
    counters.payloadBytes = 0;
    counters.dirtyBytes = 0;
  }
  const policy = evictionPolicies[options.policy](arena, entries, options.format);
  const admissions = new AdmissionOrder(arena, entries, { counters, format: options.format });
  const dirty = new DirtyOrder(arena, entries, { counters, format: options.format });
  return { arena, counters, allocator, entries, leases, policy, admissions, dirty };
}
