import type { Arena } from "../arena/arena.ts";
import type { EntryTable } from "../arena/entry_table.ts";

/**
 * Decides who leaves. Its state lies in the shared arena, so every thread sees the same; the caller holds the arena's
 * lock. A policy proposes, the manager disposes: an entry is forgotten only through `removed`.
 */
export interface EvictionPolicy {
  /** The entry became resident. */
  admitted(entry: number): void;
  /** It was read. */
  touched(entry: number): void;
  /** It leaves L1; `evicted` if it was this policy's choice. */
  removed(entry: number, evicted: boolean): void;
  /** The next to leave among the entries that may (not leased), or -1. */
  victim(mayLeave: (entry: number) => boolean): number;
  /** Makes its lists anew: exactly these are resident, and the lists may be broken anywhere. */
  rebuild(residents: readonly number[]): void;
}

/** Makes a policy's view over an arena. `format`: the memory is new, the state is to be made. */
export type PolicyFactory = (arena: Arena, entries: EntryTable, format: boolean) => EvictionPolicy;
