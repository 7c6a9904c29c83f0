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

/** Header fields by name in lower case: Headers, or a Map of them. */
export interface HeaderLookup {
  get(name: string): string | null | undefined;
}

/** The condition that `If-Match` and `If-None-Match` put on a write; undefined without them. Throws bad_request. */
export function writePrecondition(headers: HeaderLookup): Precondition | undefined {
  const match = tagsOf(headers.get("if-match") ?? null);
  const noneMatch = tagsOf(headers.get("if-none-match") ?? null);
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

/** The bytes [start, end) of an object. */
export interface ByteRange {
  readonly start: number;
  readonly end: number;
}

/**
 * Parses a `Range` header (RFC 9110 14.1.2) for an object of this size. Undefined: send the whole object, because the
 * header has several satisfiable ranges, another unit or no meaning; a server may ignore all of these. "unsatisfiable":
 * the object has no byte of the range.
 */
export function parseRange(header: string, sizeBytes: number): ByteRange | "unsatisfiable" | undefined {
  const unitEnd = header.indexOf("=");
  if (header.slice(0, Math.max(unitEnd, 0)).toLowerCase() !== "bytes") return undefined;
  // Elements of a list may be empty (RFC 9110 5.6.1.2).
  const specs = header.slice(unitEnd + 1).split(",").map(trimSpace).filter((spec) => spec !== "");
  let found: ByteRange | undefined;
  for (const spec of specs) {
    const range = parseSpec(spec, sizeBytes);
    if (range === undefined) return undefined;
    if (range === "unsatisfiable") continue;
    if (found !== undefined) return undefined;
    found = range;
  }
  // A suffix of an empty object is satisfiable and empty, which Content-Range cannot express.
  if (found?.start === found?.end) return specs.length === 0 || found !== undefined ? undefined : "unsatisfiable";
  return found;
}

function parseSpec(spec: string, sizeBytes: number): ByteRange | "unsatisfiable" | undefined {
  const dash = spec.indexOf("-");
  const first = spec.slice(0, Math.max(dash, 0));
  const last = spec.slice(dash + 1);
  if (dash < 0 || !isDigits(first + last)) return undefined;
  if (first === "") {
    const suffixBytes = Math.min(Number(last), sizeBytes);
    return Number(last) === 0 ? "unsatisfiable" : { start: sizeBytes - suffixBytes, end: sizeBytes };
  }
  if (last !== "" && isBelow(last, first)) return undefined;
  const start = Number(first);
  if (start >= sizeBytes) return "unsatisfiable";
  return { start, end: last === "" ? sizeBytes : Math.min(Number(last) + 1, sizeBytes) };
}

const isDigits = (text: string) => /^[0-9]+$/.test(text);

const trimSpace = (text: string) => text.replace(/^[ \t]+/, "").trimEnd();

/** Compares decimal numbers of any length, which a double cannot hold. */
function isBelow(a: string, b: string): boolean {
  const [x, y] = [a.replace(/^0+/, ""), b.replace(/^0+/, "")];
  return x.length === y.length ? x < y : x.length < y.length;
}
