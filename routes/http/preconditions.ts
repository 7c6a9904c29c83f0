import { VitrineError } from "../../src/core/errors.ts";
import { etagOf } from "../../src/core/object.ts";
import type { Precondition } from "../../src/storage/types.ts";

/** Whether an `If-None-Match` names the entity tag (weak comparison, RFC 9110 8.8.3.2). Throws bad_request. */
export function noneMatchNames(header: string, etag: string): boolean {
  if (header === etag || header === "*") return true;
  return parseEtags(header).some((each) => each === etag || each === `W/${etag}`);
}

/** Whether an `If-Match` names the entity tag (strong comparison). Throws bad_request. */
export function matchNames(header: string, etag: string): boolean {
  return header === "*" || parseEtags(header).includes(etag);
}

/** What `If-Match` and `If-None-Match` of a write ask of the object that is there; undefined without them. Throws bad_request. */
export function writePrecondition(headers: Headers): Precondition | undefined {
  const match = headers.get("if-match");
  const noneMatch = headers.get("if-none-match");
  if (match === null && noneMatch === null) return undefined;
  for (const header of [match, noneMatch]) if (header !== null && header !== "*") parseEtags(header);
  return (current) => {
    if (current === undefined) return match === null;
    const etag = etagOf(current);
    return (match === null || matchNames(match, etag)) && (noneMatch === null || !noneMatchNames(noneMatch, etag));
  };
}

function parseEtags(header: string): readonly string[] {
  const tags: string[] = [];
  const member = /[ \t]*((?:W\/)?"[\x21\x23-\x7e\x80-\xff]*")[ \t]*(?:,|$)/y;
  while (member.lastIndex < header.length) {
    const tag = member.exec(header)?.[1];
    if (tag === undefined) throw new VitrineError("bad_request", `parse entity tags: ${header}`);
    tags.push(tag);
  }
  return tags;
}
