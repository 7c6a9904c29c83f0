import type { Clock } from "../core/clock.ts";
import type { Publish } from "../core/events.ts";
import type { EventMap } from "../events/catalogue.ts";
import type { L2Adapter, L2Reader, TierRemovalListener } from "./adapter.ts";
import type { FolderKeeper } from "./file/folder_keeper.ts";
import type { FolderCalls, StoreCalls } from "./file/store_calls.ts";
import type { TierUrl } from "./url.ts";

/** Direct access to the folders of this thread. `onDropped` is called with each segment whose file was removed. */
export interface FolderOwner {
  store(tier: number, onDropped: (segment: number) => void): StoreCalls;
}

/** Access to the folders of another thread, for reading. */
export interface FolderLine {
  reader(tier: number, onDropped: (segment: number) => void): FolderCalls;
}

/** The context of an adapter, in addition to its URL. */
export interface TierContext {
  /** The tier's name, unique among the tiers. */
  readonly name: string;
  /** The tier's index, from 0. */
  readonly tier: number;
  readonly publish: Publish<EventMap>;
  readonly clock: Clock;
  /** Default: none. */
  readonly onRemoved?: TierRemovalListener;
}

/** A tier described by its URL, not opened yet. */
export interface TierPlan {
  /** The absolute path of the folder that the tier uses exclusively, if it has one. */
  readonly folder?: string;
  /** A unique name of anything else that the tier uses exclusively. */
  readonly place?: string;
  /** Opens the tier for its owner; a file tier uses its folder from `folders`, if given. Throws tier_failed. */
  open(context: TierContext & { readonly folders?: FolderOwner | undefined }): Promise<L2Adapter>;
  /** Opens the tier for a thread that only reads (default: `open`). Throws tier_failed. */
  openReader?(context: TierContext & { readonly line: FolderLine }): L2Reader;
  /** Opens the folder as its owner; missing if the tier has no folder. Throws tier_failed. */
  own?(
    context: TierContext & {
      readonly onSegmentDropped: (segment: number) => void;
      readonly onTrouble: (trouble: string | undefined) => void;
    },
  ): FolderKeeper;
}

/** A kind of adapter. */
export interface AdapterKind {
  /** The tier's name unless the URL has `?name=`; the second tier of a kind gets a "2" appended, and so on. */
  readonly defaultName: string;
  /** True if all threads that open the same URL share the same objects. */
  readonly isShared: boolean;
  /** Reads the parameters from the URL and checks that none is left over; opens nothing. Throws bad_request. */
  plan(url: TierUrl): TierPlan;
}
