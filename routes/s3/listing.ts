import { Buffer } from "node:buffer";
import { compareKeys, MAX_KEY_BYTES } from "../../src/core/object.ts";
import type { ListEntry, Storage } from "../../src/storage/storage.ts";
import type { Exchange } from "../exchange.ts";
import { allowedPrefix } from "../http/access.ts";
import { queryOf } from "../http/target.ts";
import { s3MetaOf } from "./metadata.ts";
import { s3Error } from "./wire/s3_error.ts";
import { replyXml, type XmlElement } from "./wire/xml.ts";

const MAX_KEYS = 1000;

/** No key that begins with a prefix comes after the prefix followed by this. */
const LAST = "\u{10ffff}";

/** What a page of a listing is asked for. */
interface Query {
  readonly prefix: string;
  readonly delimiter: string;
  readonly limit: number;
  /** Only what comes after this key or common prefix. */
  readonly after: string;
  readonly encodes: boolean;
}

/** ListObjects (version 1 and 2). Throws InvalidArgument; forbidden if the token is for other keys. */
export async function listBucket(
  exchange: Exchange,
  request: Request,
  { storage, bucket }: { readonly storage: Storage; readonly bucket: string },
): Promise<Response> {
  const parameters = queryOf(request.url);
  const isV2 = parameters.get("list-type") === "2";
  const query = parseQuery(parameters, isV2);
  const base = `${bucket}/`;
  const { items, next } = await list(storage, {
    ...query,
    tenant: exchange.tenant,
    base,
    scanned: allowedPrefix(exchange, request, base + query.prefix),
  });
  const encode = (text: string) => query.encodes ? encodeURIComponent(text).replaceAll("%2F", "/") : text;
  const common = items.filter((item) => typeof item === "string");
  const contents = items.filter((item) => typeof item !== "string");
  return replyXml(exchange, ["ListBucketResult", [
    ["Name", bucket],
    ["Prefix", encode(query.prefix)],
    ["Delimiter", query.delimiter === "" ? undefined : encode(query.delimiter)],
    ["MaxKeys", query.limit],
    ["EncodingType", query.encodes ? "url" : undefined],
    ["IsTruncated", next !== undefined],
    ...(isV2
      ? [
        ["KeyCount", items.length],
        ["ContinuationToken", parameters.get("continuation-token") ?? undefined],
        ["StartAfter", parameters.get("start-after") ?? undefined],
        ["NextContinuationToken", next === undefined ? undefined : encodeToken(next)],
      ] as const
      : [
        ["Marker", encode(query.after)],
        ["NextMarker", next === undefined ? undefined : encode(next)],
      ] as const),
    ...contents.map((entry): XmlElement => ["Contents", contentOf(entry, encode)]),
    ...common.map((prefix): XmlElement => ["CommonPrefixes", [["Prefix", encode(prefix)]]]),
  ]]);
}

/** ListBuckets: the first segments of the tenant's keys. */
export async function listBuckets(exchange: Exchange, storage: Storage): Promise<Response> {
  const names: string[] = [];
  for (let after: string | undefined = "";;) {
    const page: Page = await list(storage, {
      tenant: exchange.tenant,
      base: "",
      scanned: exchange.grant.prefix,
      prefix: "",
      delimiter: "/",
      limit: MAX_KEYS,
      after,
    });
    names.push(...page.items.filter((item) => typeof item === "string").map((item) => item.slice(0, -1)));
    if (page.next === undefined || names.length >= MAX_KEYS) break;
    after = page.next;
  }
  const created = new Date(0).toISOString();
  return replyXml(exchange, ["ListAllMyBucketsResult", [
    ["Owner", [["ID", exchange.tenant], ["DisplayName", exchange.tenant]]],
    ["Buckets", names.map((name): XmlElement => ["Bucket", [["Name", name], ["CreationDate", created]]])],
  ]]);
}

/** Common prefixes as text, objects as entries; their keys are without `base`. */
interface Page {
  readonly items: readonly (string | ListEntry)[];
  /** The last item, if there are more. */
  readonly next: string | undefined;
}

/**
 * A page of what is under a prefix, in the order of keys and common prefixes. Passes over what a common prefix hides.
 */
async function list(
  storage: Storage,
  { tenant, base, scanned, prefix, delimiter, limit, after }: Omit<Query, "encodes"> & {
    readonly tenant: string;
    /** In front of every key, and not part of what is shown. */
    readonly base: string;
    /** The prefix of the stored keys that are looked at. */
    readonly scanned: string;
  },
): Promise<Page> {
  const items: (string | ListEntry)[] = [];
  if (limit === 0) return { items, next: undefined };
  const commonOf = (key: string): string | undefined => {
    const cut = delimiter === "" ? -1 : key.indexOf(delimiter, prefix.length);
    return cut < 0 ? undefined : key.slice(0, cut + delimiter.length);
  };
  const isPrefix = after.startsWith(prefix) && commonOf(after) === after;
  let from = after === "" ? "" : base + after + (isPrefix ? LAST : "");
  let last = after;
  for (;;) {
    const { entries, more } = await storage.list({
      tenant,
      prefix: scanned,
      limit: MAX_KEYS,
      after: from,
      tier: undefined,
    });
    let hidden: string | undefined;
    for (const { key: stored, meta } of entries) {
      if (hidden !== undefined && stored.startsWith(base + hidden)) continue;
      hidden = undefined;
      const key = stored.slice(base.length);
      const common = commonOf(key);
      hidden = common;
      // A marker in the middle of a common prefix hides all of it.
      if (common !== undefined && compareKeys(common, last) <= 0) continue;
      if (items.length === limit) return { items, next: last };
      last = common ?? key;
      items.push(common ?? { key, meta });
    }
    const end = entries.at(-1);
    if (!more || end === undefined) return { items, next: undefined };
    from = hidden === undefined ? end.key : base + hidden + LAST;
  }
}

function contentOf({ key, meta }: ListEntry, encode: (text: string) => string): readonly XmlElement[] {
  return [
    ["Key", encode(key)],
    ["LastModified", new Date(meta.createdMs).toISOString()],
    ["ETag", s3MetaOf(meta).etag],
    ["Size", meta.sizeBytes],
    ["StorageClass", "STANDARD"],
  ];
}

function parseQuery(parameters: URLSearchParams, isV2: boolean): Query {
  const token = parameters.get("continuation-token");
  const encoding = parameters.get("encoding-type");
  if (encoding !== null && encoding !== "url") throw s3Error("InvalidArgument", `parse encoding-type: ${encoding}`);
  const query = {
    prefix: parameters.get("prefix") ?? "",
    delimiter: parameters.get("delimiter") ?? "",
    limit: parseLimit(parameters.get("max-keys")),
    after: isV2
      ? (token === null ? parameters.get("start-after") ?? "" : decodeToken(token))
      : parameters.get("marker") ?? "",
    encodes: encoding === "url",
  };
  for (const text of [query.prefix, query.delimiter, query.after]) {
    if (Buffer.byteLength(text) > MAX_KEY_BYTES) {
      throw s3Error("InvalidArgument", `parse query: longer than a key of ${MAX_KEY_BYTES} bytes`);
    }
  }
  return query;
}

function parseLimit(text: string | null): number {
  if (text === null || text === "") return MAX_KEYS;
  if (!/^\d{1,10}$/.test(text)) throw s3Error("InvalidArgument", `parse max-keys: ${text}`);
  return Math.min(Number(text), MAX_KEYS);
}

function encodeToken(item: string): string {
  return Buffer.from(item).toString("base64url");
}

function decodeToken(token: string): string {
  const item = Buffer.from(token, "base64url").toString();
  if (item !== "" && encodeToken(item) === token) return item;
  throw s3Error("InvalidArgument", "parse continuation-token: not one of this server");
}
