import type { Clock } from "../core/clock.ts";
import type { Publish } from "../core/events.ts";
import type { EventMap } from "../events/catalogue.ts";
import type { EvictionPolicyName } from "./eviction/mod.ts";
import type { L1RemovalListener } from "./types.ts";

/** How one thread takes part in an arena. */
export interface L1Options {
  /** This thread's number, 1 or more, unique among the threads that share the arena. */
  readonly holder: number;
  readonly clock: Clock;
  /** Called without the lock. What it throws is dropped: the call it tells of has happened. */
  readonly publish: Publish<EventMap>;
  /** Default: nobody is told. */
  readonly onRemoved?: L1RemovalListener;
  readonly policy: EvictionPolicyName;
  /** Largest object that is admitted, in bytes. */
  readonly admissionLimitBytes: number;
  readonly readLeaseMs: number;
  readonly writeLeaseMs: number;
  /** Share of the arena from which on the loop evicts (0-1), and down to which. */
  readonly highWatermark: number;
  readonly lowWatermark: number;
  /** True for exactly one thread, before the others start: makes the tables of new memory. */
  readonly format: boolean;
}
