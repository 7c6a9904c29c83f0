import type { ObjectKey } from "../../core/key.ts";
import type { ObjectMeta } from "../../core/object.ts";

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
