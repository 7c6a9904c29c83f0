import type { Clock } from "../core/clock.ts";
import type { Publish } from "../core/events.ts";
import type { EventMap } from "../events/catalogue.ts";
import type { EvictionPolicyName } from "./eviction/mod.ts";
import type { L1RemovalListener } from "./l1.ts";

/** Options of one thread's view of L1. */
export interface L1Options {
  /** This thread's number, at least 1, unique among the threads that share the arena. */
  readonly holder: number;
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
