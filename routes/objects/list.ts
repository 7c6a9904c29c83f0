import { Hono } from "hono";
import { describeRoute, resolver } from "hono-openapi";
import { Buffer } from "node:buffer";
import * as v from "valibot";
import { VitrineError } from "../../src/core/errors.ts";
import { etagOf, MAX_KEY_BYTES } from "../../src/core/object.ts";
import type { ListEntry, Storage } from "../../src/storage/storage.ts";
import type { AppOptions } from "../app_options.ts";
import type { Env } from "../exchange.ts";
import { allow, allowedPrefix, forbid } from "../http/access.ts";
import { query } from "../http/query.ts";
import { refusal, replyJson } from "../http/reply.ts";

const tier = v.optional(
  v.pipe(v.string(), v.nonEmpty("tier is empty"), v.description("Only this tier: l1, or an L2 adapter's name.")),
);

const listQuery = v.strictObject({
  tier,
  prefix: v.optional(
    v.pipe(v.string(), v.maxBytes(MAX_KEY_BYTES), v.description("Only keys that start with this.")),
    "",
  ),
  limit: v.optional(
    v.pipe(
      v.string(),
      v.regex(/^[1-9]\d{0,3}$/, "limit is not a number from 1 to 1000"),
      v.transform(Number),
      v.maxValue(1000, "limit is above 1000"),
      v.metadata({ description: "The largest number of objects in the answer, 1-1000." }),
    ),
    "100",
  ),
  cursor: v.optional(
    v.pipe(v.string(), v.nonEmpty("cursor is empty"), v.description("`next_cursor` of the previous page.")),
  ),
});
const NOT_ALL =
  "clear objects: add ?clear=all to remove every object of the tenant, or a key to the path to remove one";
const clearQuery = v.strictObject({
  clear: v.pipe(
    v.literal("all", NOT_ALL),
    v.metadata({ description: "`all`: confirms that every object is meant, not one whose key was left out." }),
  ),
  tier,
}, (issue) => v.getDotPath(issue) === "clear" ? NOT_ALL : issue.message);

const objectSchema = v.object({
  key: v.string(),
  size_bytes: v.number(),
  etag: v.string(),
  content_type: v.string(),
  created: v.pipe(v.string(), v.isoTimestamp()),
  expires: v.optional(v.pipe(v.string(), v.isoTimestamp())),
});
const listSchema = v.object({ objects: v.array(objectSchema), next_cursor: v.optional(v.string()) });
const clearSchema = v.object({
  removed: v.pipe(v.record(v.string(), v.number()), v.description("The number of objects removed, by tier.")),
});
const json = (schema: v.GenericSchema) => ({ "application/json": { schema: resolver(schema) } });

/** All objects of a tenant: listing and clearing. */
export function listRoutes({ access, limits, storage }: AppOptions): Hono<Env> {
  const app = new Hono<Env>();
  app.get(
    "/v1/objects",
    describeRoute({
      summary: "List a tenant's objects in the byte order of their keys",
      tags: ["objects"],
      responses: {
        200: { description: "One page", content: json(listSchema) },
        400: refusal("Bad query, such as an unknown tier"),
        503: refusal("A tier failed, or too many requests are in progress"),
      },
    }),
    allow({ access, limits, scopes: ["read"] }),
    query(listQuery),
    async (c) => {
      const exchange = c.get("exchange");
      const { prefix, limit, cursor, tier } = c.req.valid("query");
      const { entries, more } = await storage.list({
        tenant: exchange.tenant,
        prefix: allowedPrefix(exchange, c.req.raw, prefix),
        limit,
        after: decodeCursor(cursor),
        tier: knownTier(storage, tier),
      });
      const last = entries.at(-1);
      const next = more && last !== undefined ? { next_cursor: encodeCursor(last.key) } : {};
      return replyJson(exchange, { objects: entries.map(objectOf), ...next });
    },
  );
  app.delete(
    "/v1/objects",
    describeRoute({
      summary: "Remove a tenant's objects, from one tier or all",
      tags: ["objects"],
      responses: {
        200: { description: "Removed", content: json(clearSchema) },
        400: refusal("No clear=all, or an unknown tier"),
        503: refusal("A tier failed, or too many requests are in progress"),
      },
    }),
    allow({ access, limits, scopes: ["delete"] }),
    query(clearQuery),
    async (c) => {
      const exchange = c.get("exchange");
      // A token for some of the keys cannot clear.
      if (exchange.grant.prefix !== "") forbid(exchange, c.req.raw);
      const tier = knownTier(storage, c.req.valid("query").tier);
      return replyJson(exchange, { removed: await storage.clear({ tenant: exchange.tenant, tier }) });
    },
  );
  return app;
}

function objectOf({ key, meta }: ListEntry): v.InferInput<typeof objectSchema> {
  return {
    key,
    size_bytes: meta.sizeBytes,
    etag: etagOf(meta),
    content_type: meta.contentType,
    created: new Date(meta.createdMs).toISOString(),
    ...(meta.expiresMs === 0 ? {} : { expires: new Date(meta.expiresMs).toISOString() }),
  };
}

function knownTier(storage: Storage, name: string | undefined): string | undefined {
  if (name !== undefined && !storage.tiers.includes(name)) {
    throw new VitrineError("bad_request", `parse tier: not one of ${storage.tiers.join(", ")}: ${name}`);
  }
  return name;
}

function encodeCursor(key: string): string {
  return Buffer.from(key).toString("base64url");
}

function decodeCursor(cursor: string | undefined): string {
  if (cursor === undefined) return "";
  // The length of 1024 bytes, the longest key, in base64.
  const key = cursor.length > 1366 ? "" : Buffer.from(cursor, "base64url").toString();
  if (key === "" || encodeCursor(key) !== cursor) throw new VitrineError("bad_request", `parse cursor: ${cursor}`);
  return key;
}
