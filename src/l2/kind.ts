import type { Clock } from "../core/clock.ts";
import type { Publish } from "../core/events.ts";
import type { EventMap } from "../events/catalogue.ts";
import type { L2Adapter, L2Reader, TierRemovalListener } from "./adapter.ts";
import type { FolderKeeper } from "./file/folder_keeper.ts";
import type { FolderCalls, StoreCalls } from "./file/store_calls.ts";
import type { TierUrl } from "./url.ts";

/** The folders of this thread for its own file tiers. `onDropped` is told of segments whose files are gone. */
export interface FolderOwner {
  store(tier: number, onDropped: (segment: number) => void): StoreCalls;
}

/** The folders that another thread owns, as this one reads them. */
export interface FolderLine {
  reader(tier: number, onDropped: (segment: number) => void): FolderCalls;
}

/** What every adapter gets besides its URL. */
export interface TierContext {
  /** The tier's name, unique among the tiers. */
  readonly name: string;
  /** Its place among the tiers, from 0. */
  readonly tier: number;
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
  /** Opens the tier for its owner, a file tier over one of `folders` if there are such. Throws tier_failed. */
  open(context: TierContext & { readonly folders?: FolderOwner | undefined }): Promise<L2Adapter>;
  /** Opens the tier for a thread that only reads (default: as `open` does). Throws tier_failed. */
  openReader?(context: TierContext & { readonly line: FolderLine }): L2Reader;
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
