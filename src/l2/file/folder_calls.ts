import type { ObjectKey, ObjectMeta } from "../../core/object.ts";
import type { ListPage, ListQuery, TierUsage } from "../adapter.ts";

/** A change of the folder that can cross threads. */
export type SmallChange =
  /** Stores a small object in a segment. */
  | {
    readonly kind: "record";
    readonly key: ObjectKey;
    readonly meta: ObjectMeta;
    readonly payload: Uint8Array;
    /** True if the change must be on stable storage before it resolves. */
    readonly durable: boolean;
  }
  /** Removes the key's object; one that has expired does not count as removed. */
  | { readonly kind: "delete"; readonly key: ObjectKey; readonly durable: boolean }
  /** Removes exactly this entry, because its bytes are damaged. */
  | { readonly kind: "damaged"; readonly row: IndexRow };

/** A change of the folder. Changes are applied in the order of their requests, many in one commit. */
export type Change =
  | SmallChange
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
  };

/** The calls that the owner of a folder serves to threads that read from it. Every call throws VitrineError. */
export interface FolderCalls {
  /** The reason why the folder is unusable; undefined while it is usable. */
  readonly trouble: string | undefined;
  /** Returns the entry of a key unless it has expired. `use`: record a use for the eviction order. */
  find(key: ObjectKey, use: boolean): Promise<IndexRow | undefined>;
  /** For each key: true if `find` would return an entry. */
  has(keys: readonly ObjectKey[]): Promise<readonly boolean[]>;
  /** Removes exactly this entry, because its bytes are damaged; returns false if it is gone. */
  damaged(row: IndexRow): Promise<boolean>;
  list(query: ListQuery): Promise<ListPage>;
  usage(): Promise<TierUsage>;
}

/** Some keys of a folder, and the position of the last one in the order of the log. */
export interface KeyPage {
  readonly keys: readonly ObjectKey[];
  readonly last: number;
}

/** The calls that the owner of a folder serves to the owner of the tiers. Every call throws VitrineError. */
export interface ChangeCalls extends FolderCalls {
  /**
   * Resolves once the change is visible and, if requested, durable. Returns true if there was an object before. Throws
   * no_room, tier_failed.
   */
  change(change: SmallChange): Promise<boolean>;
  /**
   * Removes one tenant's objects, or all, and returns their number once they are permanently gone. `onInvisible` is
   * called as soon as none of them is visible.
   */
  clear(tenant: string | undefined, onInvisible?: () => void): Promise<number>;
  /** Returns up to `limit` keys after position `after`. */
  keys(after: number, limit: number): Promise<KeyPage>;
  /** Finishes all requested changes and, in the thread that owns the folder, closes it in a clean state. */
  close(): Promise<void>;
}

/** All calls of a folder, for the thread that owns it. Every call throws VitrineError. */
export interface StoreCalls extends ChangeCalls {
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
}

/** The place of a record: a part of a segment. */
export interface RecordPlace {
  readonly segment: number;
  readonly offset: number;
  readonly bytes: number;
}

/** A file that contains one object. */
export interface ObjectFile {
  readonly name: string;
  readonly bytes: number;
}

/** A stored object, as in the index. */
export interface IndexEntry {
  readonly key: ObjectKey;
  readonly meta: ObjectMeta;
  readonly record: RecordPlace;
  /** The file with the object's bytes; undefined if they are in the record. */
  readonly file: ObjectFile | undefined;
}

/** An entry of the index with its row id. */
export interface IndexRow extends IndexEntry {
  readonly id: number;
}

/** True if two rows are the same object with its bytes in the same place. */
export function isSameRow(a: IndexRow, b: IndexRow): boolean {
  if (a.id !== b.id || a.file?.name !== b.file?.name) return false;
  return a.file !== undefined || (a.record.segment === b.record.segment && a.record.offset === b.record.offset);
}
