import type { Arena } from "../arena/arena.ts";
import type { EntryTable } from "../arena/entry_table.ts";

/**
 * Decides which entry of an account to evict; every tenant with a quota has one, and those without share one. Its state
 * is in the shared arena, so that every thread sees the same. The caller holds the arena's lock. A policy only proposes
 * a victim; it forgets an entry when `removed` is called.
 */
export interface EvictionPolicy {
  /** The entry has become resident. */
  admitted(entry: number): void;
  /** The entry was read. */
  touched(entry: number): void;
  /**
   * The entry was read by a caller without the lock, who keeps it resident or at least from being freed. True: `settle`
   * is due.
   */
  hit(entry: number): boolean;
  /** Takes account of this thread's hits. The other methods do so themselves. */
  settle(): void;
  /** The entry leaves L1. `evicted`: it was this policy's victim. */
  removed(entry: number, evicted: boolean): void;
  /** The next victim among the entries of an account that satisfy `mayLeave`, or -1. */
  victim(mayLeave: (entry: number) => boolean, account: number): number;
  /** Puts a resident into another account, as the one used last there. */
  assign(entry: number, account: number): void;
  /** Rebuilds the lists, which may be broken anywhere. Exactly `residents` are resident. */
  rebuild(residents: readonly number[]): void;
}

/** Creates a policy's view over an arena. `format`: the memory is new, so the state is initialised. */
export type PolicyFactory = (arena: Arena, entries: EntryTable, format: boolean) => EvictionPolicy;
