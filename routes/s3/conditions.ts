import { etagOf, type ObjectKey, type ObjectMeta, type Precondition } from "../../src/core/object.ts";
import type { Storage } from "../../src/storage/storage.ts";
import type { Exchange } from "../exchange.ts";
import { matchNames, noneMatchNames } from "../http/conditions.ts";
import { s3MetaOf } from "./metadata.ts";
import { s3Error } from "./wire/s3_error.ts";

/** The conditions of a read, by the names of their fields. */
export interface ReadConditions {
  readonly ifMatch: string | null;
  readonly ifNoneMatch: string | null;
  readonly ifModifiedSince: string | null;
  readonly ifUnmodifiedSince: string | null;
}

/** The conditions in the header fields with this prefix. */
export function readConditions(headers: Headers, prefix: string = ""): ReadConditions {
  return {
    ifMatch: headers.get(`${prefix}if-match`),
    ifNoneMatch: headers.get(`${prefix}if-none-match`),
    ifModifiedSince: headers.get(`${prefix}if-modified-since`),
    ifUnmodifiedSince: headers.get(`${prefix}if-unmodified-since`),
  };
}

/** Evaluates conditions in the order of RFC 9110 13.2.2; an ETag goes before a date. Throws bad_request. */
export function evaluate(conditions: ReadConditions, meta: ObjectMeta, etag: string): "holds" | "failed" | "unchanged" {
  const { ifMatch, ifNoneMatch, ifModifiedSince, ifUnmodifiedSince } = conditions;
  if (ifMatch !== null) {
    if (!matchNames(quoted(ifMatch), etag)) return "failed";
  } else if (isStoredAfter(ifUnmodifiedSince, meta)) return "failed";
  if (ifNoneMatch !== null) return noneMatchNames(quoted(ifNoneMatch), etag) ? "unchanged" : "holds";
  return ifModifiedSince !== null && isDate(ifModifiedSince) && !isStoredAfter(ifModifiedSince, meta)
    ? "unchanged"
    : "holds";
}

/** The condition for a write. Throws PreconditionFailed. */
export async function writeCondition(
  storage: Storage,
  { exchange, key, headers }: { readonly exchange: Exchange; readonly key: ObjectKey; readonly headers: Headers },
): Promise<Precondition | undefined> {
  const ifNoneMatch = headers.get("if-none-match");
  if (ifNoneMatch !== null && ifNoneMatch !== "*") {
    throw s3Error("NotImplemented", "parse If-None-Match: a write knows only *");
  }
  // For tokens that must not replace objects, checked in the step that admits the object.
  const noneMatch = ifNoneMatch === "*" || !exchange.grant.scopes.has("write") ? "*" : undefined;
  const match = await matchCondition(storage, key, headers.get("if-match"));
  return noneMatch === undefined ? match : { ...match, noneMatch };
}

/**
 * The condition of an `If-Match` on a change. S3's ETag is not the one that the storage compares, so the current object
 * is looked up, and the change is of that very object. Throws PreconditionFailed.
 */
export async function matchCondition(
  storage: Storage,
  key: ObjectKey,
  ifMatch: string | null,
): Promise<Precondition | undefined> {
  if (ifMatch === null) return undefined;
  const found = await storage.head(key);
  if (found === undefined) throw s3Error("NoSuchKey", "match If-Match: no such key");
  if (matchNames(quoted(ifMatch), s3MetaOf(found.meta).etag)) return { match: [etagOf(found.meta)] };
  throw s3Error("PreconditionFailed", "match If-Match: the object has another ETag");
}

/** S3 clients leave out the quotes of an ETag now and then. */
function quoted(field: string): string {
  return /^[\w-]+$/.test(field) ? `"${field}"` : field;
}

const isDate = (field: string) => !Number.isNaN(Date.parse(field));

/** True if the object was stored after a date; dates have whole seconds. */
function isStoredAfter(date: string | null, { createdMs }: ObjectMeta): boolean {
  return date !== null && Date.parse(date) < Math.floor(createdMs / 1000) * 1000;
}
