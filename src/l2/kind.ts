import type { Clock } from "../core/clock.ts";
import type { Publish } from "../core/events.ts";
import type { EventMap } from "../events/catalogue.ts";
import type { L2Adapter, TierRemovalListener } from "./adapter.ts";
import type { FolderKeeper } from "./file/folder_keeper.ts";
import type { StoreCalls } from "./file/store_calls.ts";
import type { TierUrl } from "./url.ts";

/**
 * The folders that another thread owns, by the number of their tier. `onDropped` is told of segments whose files are
 * gone.
 */
export interface FolderOwner {
  store(tier: number, onDropped: (segment: number) => void): StoreCalls;
}

/** What every adapter gets besides its URL. */
export interface TierContext {
  /** The tier's name, unique among the tiers. */
  readonly name: string;
  /** Its place among the tiers, from 0. */
  readonly tier: number;
  /** Who owns the folders of file tiers. Default: this thread does. */
  readonly folders?: FolderOwner | undefined;
  readonly publish: Publish<EventMap>;
  readonly clock: Clock;
  /** Default: nobody is told. */
  readonly onRemoved?: TierRemovalListener;
}

/** A tier as its URL describes it, not open yet. */
export interface TierPlan {
  /** The folder that it needs to itself, as an absolute path, if it has one. */
  readonly folder?: string;
  /** What else it needs to itself, in words that name it alone. */
  readonly place?: string;
  /** Throws tier_failed. */
  open(context: TierContext): Promise<L2Adapter>;
  /** Opens the folder as its owner; missing where a tier has none. Throws tier_failed. */
  own?(
    context: TierContext & {
      readonly onSegmentDropped: (segment: number) => void;
      readonly onTrouble: (trouble: string | undefined) => void;
    },
  ): FolderKeeper;
}

/** One kind of adapter. */
export interface AdapterKind {
  /** The tier's name unless the URL says `?name=`; a second one of a kind gets a "2" appended, and so on. */
  readonly defaultName: string;
  /** Whether all threads that open one URL have the same objects. */
  readonly isShared: boolean;
  /** Takes its parameters from the URL and checks that none is left; opens nothing. Throws bad_request. */
  plan(url: TierUrl): TierPlan;
}
