import type { ObjectKey } from "../../core/key.ts";
import type { ObjectMeta } from "../../core/object.ts";
import type { ListPage, ListQuery, TierUsage } from "../adapter.ts";
import type { IndexRow } from "./place.ts";

/** A change of the folder. Changes are made in the order in which they are asked for, many in one commit. */
export type Change =
  /** Stores a small object in a segment. */
  | {
    readonly kind: "record";
    readonly key: ObjectKey;
    readonly meta: ObjectMeta;
    readonly payload: Uint8Array;
    /** Whether it must be on stable storage before the change is done. */
    readonly durable: boolean;
  }
  /** Stores an object whose bytes lie in a finished temp file; the file is synced already if the change is durable. */
  | {
    readonly kind: "file";
    readonly key: ObjectKey;
    readonly meta: ObjectMeta;
    readonly tempPath: string;
    readonly bytes: number;
    /** What was held for it with `hold`, and is given back now. */
    readonly heldBytes: number;
    readonly durable: boolean;
  }
  /** Removes whatever the key has, unless its time is up. */
  | { readonly kind: "delete"; readonly key: ObjectKey; readonly durable: boolean }
  /** Removes exactly this entry, because its bytes are damaged. */
  | { readonly kind: "damaged"; readonly row: IndexRow };

/** What the owner of a folder does for threads that read from it. Every call throws VitrineError. */
export interface FolderCalls {
  /** Why the folder cannot be used for now; undefined if it can. */
  readonly trouble: string | undefined;
  /** The entry of a key, unless its time is up. `use`: note it as used, for eviction's order. */
  find(key: ObjectKey, use: boolean): Promise<IndexRow | undefined>;
  /** Removes exactly this entry, because its bytes are damaged; false if it is gone. */
  damaged(row: IndexRow): Promise<boolean>;
  list(query: ListQuery): Promise<ListPage>;
  usage(): Promise<TierUsage>;
}

/** What it does in its own thread, for whoever owns the tiers. Every call throws VitrineError. */
export interface StoreCalls extends FolderCalls {
  /**
   * Resolves when the change is done: visible and, if asked for, durable. Whether there was an object before. Throws
   * no_room, tier_failed.
   */
  change(change: Change): Promise<boolean>;
  /**
   * Keeps room for a file that is being written, evicting as needed; returns what is held for it now. Throws no_room.
   */
  hold(bytes: number, heldBytes: number): Promise<number>;
  /** Gives room back for a file that was not finished. */
  release(bytes: number): void;
  /** The disk is full whatever the limit says: frees about so many bytes; false if there was nothing left to free. */
  relieve(bytes: number): Promise<boolean>;
  /**
   * Removes one tenant's objects, or all; how many, once they are gone for good. `onInvisible`: nothing of them is
   * visible any more.
   */
  clear(tenant: string | undefined, onInvisible?: () => void): Promise<number>;
  /** Keys in the order of the log, so many behind a place in it, and the place of the last. */
  keys(after: number, limit: number): Promise<{ readonly keys: readonly ObjectKey[]; readonly last: number }>;
  /** Finishes what was asked for and, from the last user, brings the folder into order. */
  close(): Promise<void>;
}
