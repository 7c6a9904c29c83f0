import type { ObjectKey } from "../../core/key.ts";
import type { ObjectMeta } from "../../core/object.ts";
import type { ListPage, ListQuery, TierUsage } from "../adapter.ts";
import type { IndexRow } from "./place.ts";

/** A change of the folder. Changes are applied in the order of their requests, many in one commit. */
export type Change =
  /** Stores a small object in a segment. */
  | {
    readonly kind: "record";
    readonly key: ObjectKey;
    readonly meta: ObjectMeta;
    readonly payload: Uint8Array;
    /** True if the change must be on stable storage before it resolves. */
    readonly durable: boolean;
  }
  /** Stores an object whose bytes are in a finished temp file, which is already synced if the change is durable. */
  | {
    readonly kind: "file";
    readonly key: ObjectKey;
    readonly meta: ObjectMeta;
    readonly tempPath: string;
    readonly bytes: number;
    /** The room reserved for it with `hold`, which is released now. */
    readonly heldBytes: number;
    readonly durable: boolean;
  }
  /** Removes the key's object; one that has expired does not count as removed. */
  | { readonly kind: "delete"; readonly key: ObjectKey; readonly durable: boolean }
  /** Removes exactly this entry, because its bytes are damaged. */
  | { readonly kind: "damaged"; readonly row: IndexRow };

/** The calls that the owner of a folder serves to threads that read from it. Every call throws VitrineError. */
export interface FolderCalls {
  /** The reason why the folder is unusable; undefined while it is usable. */
  readonly trouble: string | undefined;
  /** Returns the entry of a key unless it has expired. `use`: record a use for the eviction order. */
  find(key: ObjectKey, use: boolean): Promise<IndexRow | undefined>;
  /** Removes exactly this entry, because its bytes are damaged; returns false if it is gone. */
  damaged(row: IndexRow): Promise<boolean>;
  list(query: ListQuery): Promise<ListPage>;
  usage(): Promise<TierUsage>;
}

/**
 * The calls that the owner of a folder serves in its own thread, to the owner of the tiers. Every call throws
 * VitrineError.
 */
export interface StoreCalls extends FolderCalls {
  /**
   * Resolves once the change is visible and, if requested, durable. Returns true if there was an object before. Throws
   * no_room, tier_failed.
   */
  change(change: Change): Promise<boolean>;
  /**
   * Reserves `bytes` more for a file that is being written, evicting as needed; returns its new reserved total. Throws
   * no_room.
   */
  hold(bytes: number, heldBytes: number): Promise<number>;
  /** Releases the reserved room of an unfinished file. */
  release(bytes: number): void;
  /**
   * Frees about `bytes` because the disk is full, regardless of the limit; returns false if there was nothing left to
   * free.
   */
  relieve(bytes: number): Promise<boolean>;
  /**
   * Removes one tenant's objects, or all, and returns their number once they are permanently gone. `onInvisible` is
   * called as soon as none of them is visible.
   */
  clear(tenant: string | undefined, onInvisible?: () => void): Promise<number>;
  /** Returns up to `limit` keys after position `after`, in the order of the log, and the position of the last one. */
  keys(after: number, limit: number): Promise<{ readonly keys: readonly ObjectKey[]; readonly last: number }>;
  /** Finishes all requested changes and closes the folder in a clean state. */
  close(): Promise<void>;
}
