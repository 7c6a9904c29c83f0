import type { ObjectKey } from "../../core/key.ts";
import type { ObjectMeta } from "../../core/object.ts";

/** Where a record lies: a part of a segment. */
export interface RecordPlace {
  readonly segment: number;
  readonly offset: number;
  readonly bytes: number;
}

/** A file that holds one object. */
export interface ObjectFile {
  readonly name: string;
  readonly bytes: number;
}

/** One stored object, as the index knows it. */
export interface IndexEntry {
  readonly key: ObjectKey;
  readonly meta: ObjectMeta;
  readonly record: RecordPlace;
  /** The file in which the bytes lie; undefined if they are in the record. */
  readonly file: ObjectFile | undefined;
}

/** An entry of the index with its row number. */
export interface IndexRow extends IndexEntry {
  readonly id: number;
}

/** Whether two rows are the same object whose bytes lie in the same place. */
export function isSameRow(a: IndexRow, b: IndexRow): boolean {
  if (a.id !== b.id || a.file?.name !== b.file?.name) return false;
  return a.file !== undefined || (a.record.segment === b.record.segment && a.record.offset === b.record.offset);
}
