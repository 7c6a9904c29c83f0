import { VitrineError } from "../../src/core/errors.ts";
import type { EntityTags, Precondition } from "../../src/core/object.ts";

/** True if an `If-None-Match` names the entity tag (weak comparison, RFC 9110 8.8.3.2). Throws bad_request. */
export function noneMatchNames(header: string, etag: string): boolean {
  if (header === etag || header === "*") return true;
  return parseEtags(header).some((each) => each === etag || each === `W/${etag}`);
}

/** True if an `If-Match` names the entity tag (strong comparison). Throws bad_request. */
export function matchNames(header: string, etag: string): boolean {
  return header === "*" || parseEtags(header).includes(etag);
}

/** The condition that `If-Match` and `If-None-Match` put on a write; undefined without them. Throws bad_request. */
export function writePrecondition(headers: Headers): Precondition | undefined {
  const match = tagsOf(headers.get("if-match"));
  const noneMatch = tagsOf(headers.get("if-none-match"));
  return match === undefined && noneMatch === undefined ? undefined : { match, noneMatch };
}

function tagsOf(header: string | null): EntityTags | undefined {
  if (header === null) return undefined;
  return header === "*" ? header : parseEtags(header);
}

/**
 * Parses a list of entity tags (RFC 9110 5.6.1.2, 8.8.3). Any elements may be empty. A backslash in a tag has no
 * special meaning.
 */
function parseEtags(header: string): readonly string[] {
  const tags: string[] = [];
  const separators = /[ \t,]*/y;
  const entityTag = /(?:W\/)?"[\x21\x23-\x7e\x80-\xff]*"/y;
  for (let at = 0;;) {
    separators.lastIndex = at;
    const between = separators.exec(header)?.[0] ?? "";
    at += between.length;
    if (at === header.length) return tags;
    entityTag.lastIndex = at;
    const tag = entityTag.exec(header)?.[0];
    if (tag === undefined || (tags.length > 0 && !between.includes(","))) {
      throw new VitrineError("bad_request", `parse entity tags: ${header}`);
    }
    tags.push(tag);
    at += tag.length;
  }
}
