import { etagOf, type ObjectMeta } from "./object.ts";

/** Entity tags with their quotes, weak ones with `W/`; "*": any. */
export type EntityTags = "*" | readonly string[];

/** What a change asks of the object that is there: If-Match, If-None-Match. Data, because it crosses threads. */
export interface Precondition {
  /** The object must have one of these (strong comparison, RFC 9110 8.8.3.2). Nothing matches none. */
  readonly match?: EntityTags | undefined;
  /** The object must have none of these (weak comparison). */
  readonly noneMatch?: EntityTags | undefined;
  /** Where there is no object, the change may go on whatever the rest says (default false). */
  readonly orAbsent?: boolean;
}

/** Decides on the object that is there now (undefined: none) whether a change may go on. */
export function holds({ match, noneMatch, orAbsent = false }: Precondition, current: ObjectMeta | undefined): boolean {
  if (current === undefined) return orAbsent || match === undefined;
  const etag = etagOf(current);
  if (match !== undefined && match !== "*" && !match.includes(etag)) return false;
  return noneMatch === undefined ||
    (noneMatch !== "*" && !noneMatch.some((each) => each === etag || each === `W/${etag}`));
}
