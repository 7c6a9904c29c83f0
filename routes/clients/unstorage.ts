import { Hono } from "hono";
import { describeRoute, resolver } from "hono-openapi";
import * as v from "valibot";
import { VitrineError } from "../../src/core/errors.ts";
import type { ObjectKey, ObjectMeta } from "../../src/core/object.ts";
import type { Storage } from "../../src/storage/storage.ts";
import type { AppOptions } from "../app_options.ts";
import type { Env, Exchange } from "../exchange.ts";
import { allow, allowedPrefix, objectOf } from "../http/access.ts";
import { bodyLength } from "../http/body.ts";
import { refusal, replyText } from "../http/reply.ts";
import { parseKey } from "../http/target.ts";
import { readObject } from "../objects/read.ts";
import { parsePut, putObject, stored } from "../objects/write.ts";
import { inBatches } from "./in_batches.ts";

/** The path in front of every store. */
export const UNSTORAGE = "/unstorage/";
const PATH = `${UNSTORAGE}:store/:key{[^]+}`;
const PAGE = 1000;
const MAX_LIST_CHARACTERS = 64 * 1024 * 1024;
/** The largest time to live, as for `max-age`: 68 years. */
const MAX_TTL_SECONDS = 2 ** 31;

const bytes = { "application/octet-stream": { schema: { type: "string" as const, format: "binary" } } };
const parameter = (name: string, description: string) => ({
  in: "path" as const,
  name,
  required: true,
  description,
  schema: { type: "string" as const },
});
const parameters = [
  parameter("store", "A name for the keys of one `createStorage`."),
  parameter("key", "The key, with slashes in place of colons. A base ends with a slash or a colon."),
];
const busy = refusal("A tier failed, or too many requests are in progress");

/** unstorage's HTTP driver (docs/CLIENTS.md). */
export function unstorageRoutes(options: AppOptions): Hono<Env> {
  const { access, limits, storage } = options;
  const read = readObject(options, { keyOf: itemOf, fieldsOf });
  const app = new Hono<Env>();
  app.get(
    PATH,
    describeRoute({
      summary: "unstorage: read an item, or list the keys below a base",
      tags: ["build clients"],
      parameters,
      responses: {
        200: {
          description: "The bytes of the item; or all keys below the base",
          content: { ...bytes, "application/json": { schema: resolver(v.array(v.string())) } },
        },
        206: { description: "The bytes of the range", content: bytes },
        304: { description: "If-None-Match names the item" },
        400: refusal("Bad key or header"),
        404: refusal("No such item"),
        412: refusal("If-Match does not name the item"),
        416: refusal("The range has no byte of the item"),
        503: busy,
      },
    }),
    allow({ access, limits, scopes: ["read"] }),
    async (c) => {
      const exchange = c.get("exchange");
      const base = baseOf(exchange);
      if (base === undefined) return read(exchange, c.req.raw);
      if (exchange.method === "HEAD") throw new VitrineError("bad_key", "parse key: a base has no item");
      const { store, prefix } = base;
      const keys = keysBelow(storage, { tenant: exchange.tenant, prefix: allowedPrefix(exchange, c.req.raw, prefix) });
      return replyText(exchange, await listOf(keys, (key) => key.slice(store.length)), { type: "application/json" });
    },
  );
  app.put(
    PATH,
    describeRoute({
      summary: "unstorage: store an item",
      tags: ["build clients"],
      parameters: [
        ...parameters,
        { in: "header", name: "x-ttl", description: "The time to live in seconds.", schema: { type: "string" } },
      ],
      requestBody: { required: true, content: bytes },
      responses: {
        200: { description: "Replaced" },
        201: { description: "Created" },
        400: refusal("Bad key or header; length or digest mismatch"),
        404: refusal("No store, or no key"),
        408: refusal("The body arrives too slowly"),
        412: refusal("A precondition failed, or the token may only create and the item exists"),
        413: refusal("The item is larger than this server accepts"),
        431: refusal("More header fields or bytes than can be kept with an item"),
        503: busy,
        507: refusal("No room"),
      },
    }),
    allow({ access, limits, scopes: ["write", "create-only"] }),
    async (c) => {
      const exchange = c.get("exchange");
      const request = c.req.raw;
      if (baseOf(exchange) !== undefined) throw new VitrineError("bad_key", "parse key: a base has no item");
      const parsed = parsePut(exchange, request.headers, {
        key: itemOf(exchange, request),
        sizeBytes: bodyLength(request),
      });
      const ttl = request.headers.get("x-ttl");
      const put = ttl === null ? parsed : { ...parsed, ttlSeconds: parseTtl(ttl) };
      return stored(await putObject(exchange, request, { ...options, put }));
    },
  );
  app.delete(
    PATH,
    describeRoute({
      summary: "unstorage: remove an item, or all items below a base",
      tags: ["build clients"],
      parameters,
      responses: {
        204: { description: "It is not there any more" },
        400: refusal("Bad key"),
        404: refusal("No store, or no key"),
        503: busy,
      },
    }),
    allow({ access, limits, scopes: ["delete"] }),
    async (c) => {
      const exchange = c.get("exchange");
      const base = baseOf(exchange);
      if (base === undefined) await storage.delete(itemOf(exchange, c.req.raw));
      else {
        const prefix = allowedPrefix(exchange, c.req.raw, base.prefix);
        for await (const keys of keysBelow(storage, { tenant: exchange.tenant, prefix })) {
          await inBatches(keys, (key) => storage.delete(objectOf(exchange, c.req.raw, key)));
        }
      }
      return c.body(null, 204);
    },
  );
  return app;
}

/** The keys with a prefix, page by page. */
async function* keysBelow(
  storage: Storage,
  { tenant, prefix }: { readonly tenant: string; readonly prefix: string },
): AsyncGenerator<readonly string[], void, void> {
  for (let after = "";;) {
    const { entries, more } = await storage.list({ tenant, prefix, limit: PAGE, after, tier: undefined });
    yield entries.map(({ key }) => key);
    const last = entries.at(-1);
    if (!more || last === undefined) return;
    after = last.key;
  }
}

/**
 * A JSON array of names. It is made whole before it is sent: the driver takes one that was broken off for an empty one.
 * Throws bad_request, tier_failed.
 */
async function listOf(
  pages: AsyncGenerator<readonly string[], void, void>,
  nameOf: (key: string) => string,
): Promise<string> {
  const texts: string[] = [];
  let characters = 0;
  for await (const page of pages) {
    for (const key of page) {
      const text = JSON.stringify(nameOf(key));
      characters += text.length;
      texts.push(text);
    }
    if (characters > MAX_LIST_CHARACTERS) {
      throw new VitrineError(
        "bad_request",
        `list keys: above ${MAX_LIST_CHARACTERS} characters: ask for a longer base`,
      );
    }
  }
  return `[${texts.join(",")}]`;
}

/** The key prefixes of a store and of a base in it; undefined if the path names an item. Throws bad_key. */
function baseOf(exchange: Exchange): { readonly store: string; readonly prefix: string } | undefined {
  const path = exchange.path.slice(1);
  const [base] = /^.*\/(?=:?$)/s.exec(path) ?? [];
  if (base === undefined) return undefined;
  const store = path.slice(0, path.indexOf("/", UNSTORAGE.length - 1) + 1);
  return { store: `${parseKey(store.slice(0, -1))}/`, prefix: `${parseKey(base.slice(0, -1))}/` };
}

/** The item that the path names: its key is the path. Throws bad_key; forbidden. */
function itemOf(exchange: Exchange, request: Request): ObjectKey {
  return objectOf(exchange, request, parseKey(exchange.path.slice(1)));
}

/** Throws bad_request. */
function parseTtl(field: string): number {
  if (/^\d{1,15}(?:\.\d{1,9})?$/.test(field) && Number(field) > 0) return Math.min(Number(field), MAX_TTL_SECONDS);
  throw new VitrineError("bad_request", `parse x-ttl: not a number of seconds above 0: ${field}`);
}

/** What `getMeta` of the driver reads. */
function fieldsOf({ createdMs, expiresMs }: ObjectMeta, nowMs: number): Readonly<Record<string, string>> {
  const lastModified = { "last-modified": new Date(createdMs).toUTCString() };
  if (expiresMs === 0) return lastModified;
  return { ...lastModified, "x-ttl": String(Math.max(0, Math.floor((expiresMs - nowMs) / 1000))) };
}
