import type { ObjectKey } from "../../core/key.ts";
import type { ObjectMeta } from "../../core/object.ts";

/** Where an object's bytes lie: in a file of its own, or as a record in a segment. */
export type Place =
  | { readonly kind: "file"; readonly name: string }
  | { readonly kind: "record"; readonly segment: number; readonly offset: number };

/** One stored object, as the index knows it. */
export interface IndexEntry {
  readonly key: ObjectKey;
  readonly meta: ObjectMeta;
  readonly place: Place;
  /** Length of the whole file, or of the whole record. */
  readonly bytes: number;
}

/** An entry of the index with its row number. */
export interface IndexRow extends IndexEntry {
  readonly id: number;
}

/** Whether two places are the same bytes. */
export function isSamePlace(a: Place, b: Place): boolean {
  if (a.kind === "file") return b.kind === "file" && a.name === b.name;
  return b.kind === "record" && a.segment === b.segment && a.offset === b.offset;
}
