import type { EventName } from "../catalogue.ts";
import type { Delivered } from "../delivered.ts";

/** An event or a folded group in its place among all that the feed has recorded, counted from 1. */
export interface LiveRecord {
  readonly sequence: number;
  readonly event: Delivered<EventName>;
}

/** Events that one listener does not get; `sequence` is the last place that this concerns. */
export interface LiveLoss {
  readonly sequence: number;
  /** How many that it wanted; undefined if nobody knows. */
  readonly lost: number | undefined;
}

/** What a listener gets. */
export type LiveItem = LiveRecord | LiveLoss;
