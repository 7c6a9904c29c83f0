import { Hono, type MiddlewareHandler } from "hono";
import * as v from "valibot";
import { SCOPES } from "../../src/access/tokens.ts";
import { VitrineError } from "../../src/core/errors.ts";
import { MAX_KEY_BYTES, type ObjectKey, type ObjectMeta } from "../../src/core/object.ts";
import {
  formatMeta,
  fromBase64,
  TIER_FIELDS,
  TIER_LOOKUP,
  TIER_OBJECTS,
  TIER_PATH,
  toBase64,
} from "../../src/core/tier_protocol.ts";
import type { AppOptions, Servers } from "../app_options.ts";
import type { Env, Exchange } from "../exchange.ts";
import { keyList, readJson } from "../batch/body.ts";
import { allow, allowedPrefix, namedObject, objectOf } from "../http/access.ts";
import { writePrecondition } from "../http/conditions.ts";
import { parseQuery } from "../http/query.ts";
import { replyJson } from "../http/reply.ts";
import { HARMLESS, miss } from "../objects/read.ts";
import { writeTierObject } from "./write.ts";

const OBJECT = `${TIER_OBJECTS}/:key`;

const text = v.pipe(
  v.string(),
  v.transform(fromBase64),
  v.string("not the Base64 of a text"),
  v.maxBytes(MAX_KEY_BYTES),
);
const lookupSchema = v.strictObject({ keys: keyList() });
const listQuery = v.strictObject({
  prefix: text,
  after: text,
  limit: v.pipe(v.string(), v.regex(/^[1-9]\d{0,3}$/), v.transform(Number), v.maxValue(1000)),
});

/**
 * The interface for servers in front of this one, whose tier it is (docs/L2_HTTP.md). Every answer names the server. It
 * is not in the specification.
 */
export function tierRoutes(options: AppOptions): Hono<Env> {
  const { access, limits, storage, sender, servers, transferWatch } = options;
  const app = new Hono<Env>();
  app.use(`${TIER_PATH}/*`, async (c, next) => {
    await next();
    c.res.headers.set(TIER_FIELDS.server, servers.own);
    if (c.error instanceof VitrineError) c.res.headers.set(TIER_FIELDS.reason, toBase64(c.error.message));
  });
  // Answered in a ring of servers too: the list is how the others find out that they are in one.
  app.get(
    TIER_PATH,
    allow({ access, scopes: SCOPES }),
    (c) => replyJson(c.get("exchange"), { servers: [servers.own, ...servers.behind()] }),
  );
  const noRing: MiddlewareHandler<Env> = async (c, next) => {
    refuseRing(c.req.raw.headers.get("via"), servers);
    await next();
  };
  app.use(`${TIER_OBJECTS}/*`, noRing);
  app.post(TIER_LOOKUP, noRing, allow({ access, limits, scopes: ["read"] }), async (c) => {
    const exchange = c.get("exchange");
    const request = c.req.raw;
    const { keys } = await readJson(lookupSchema, { exchange, request, transferWatch });
    const objects = keys.map((key) => namedObject(exchange, request, key));
    const { levels, failed } = await storage.lookup(objects);
    // What a tier here has not said is not a miss.
    const [failure] = levels.includes(0) ? failed.values() : [];
    if (failure !== undefined) throw new VitrineError("tier_failed", failure);
    return replyJson(exchange, { held: Array.from(levels, (bits) => bits !== 0) });
  });
  app.get(TIER_OBJECTS, allow({ access, limits, scopes: ["read"] }), async (c) => {
    const exchange = c.get("exchange");
    const { prefix, after, limit } = parseQuery(listQuery, c.req.raw);
    const query = { tenant: exchange.tenant, prefix: allowedPrefix(exchange, c.req.raw, prefix), after, limit };
    return replyJson(exchange, await storage.list({ ...query, tier: undefined }));
  });
  app.get(OBJECT, allow({ access, limits, scopes: ["read"] }), async (c) => {
    const exchange = c.get("exchange");
    const key = keyOf(exchange, c.req.raw);
    if (exchange.method === "HEAD") {
      const found = await storage.head(key, exchange);
      return found === undefined ? miss(exchange, c.req.raw) : new Response(null, { headers: headersOf(found.meta) });
    }
    const range = parseTierRange(c.req.raw.headers.get(TIER_FIELDS.range));
    const read = await storage.get(key, exchange);
    if (read === undefined) return miss(exchange, c.req.raw);
    const { meta } = read;
    const headers = headersOf(meta);
    const end = Math.min(range?.end ?? meta.sizeBytes, meta.sizeBytes);
    const start = Math.min(range?.start ?? 0, end);
    if (start === end) {
      read.release("finished");
      return new Response(null, { headers });
    }
    exchange.bodyFollows();
    return sender.send(read, {
      start,
      end,
      status: 200,
      pinnedBytes: meta.sizeBytes,
      headers,
      context: exchange.context,
      onEnd: (result) => exchange.bodyEnded(result),
    });
  });
  app.put(OBJECT, allow({ access, limits, scopes: ["write", "create-only"] }), (c) => {
    const exchange = c.get("exchange");
    return writeTierObject(exchange, c.req.raw, { ...options, key: keyOf(exchange, c.req.raw) });
  });
  app.delete(OBJECT, allow({ access, limits, scopes: ["delete"] }), async (c) => {
    const exchange = c.get("exchange");
    const key = keyOf(exchange, c.req.raw);
    const precondition = writePrecondition(c.req.raw.headers);
    const deleted = await storage.delete(key, precondition && { ...precondition, orAbsent: true });
    if (!deleted) throw new VitrineError("not_found", "delete object: no such key");
    return c.body(null, 204);
  });
  return app;
}

/** Throws loop_detected if a request comes from a server that this one's tiers lead to. */
function refuseRing(via: string | null, { own, behind }: Servers): void {
  const passed = (via ?? "").split(",").map((entry) => entry.trim().split(/\s+/)[1]);
  if (![own, ...behind()].some((id) => passed.includes(id))) return;
  throw new VitrineError(
    "loop_detected",
    "serve as a tier: a ring of servers: this one's tiers lead to the one that asks",
  );
}

function headersOf(meta: ObjectMeta): Record<string, string> {
  return { "content-type": "application/octet-stream", ...HARMLESS, [TIER_FIELDS.meta]: formatMeta(meta) };
}

/** The object that the path names. Throws bad_key; forbidden if the token is for other keys. */
function keyOf(exchange: Exchange, request: Request): ObjectKey {
  const key = fromBase64(exchange.path.slice(TIER_OBJECTS.length + 1));
  if (key === undefined || key === "" || Buffer.byteLength(key) > MAX_KEY_BYTES) {
    throw new VitrineError("bad_key", "parse key: not the Base64 of 1 to 1024 bytes of UTF-8");
  }
  return objectOf(exchange, request, key);
}

/** Parses `start-end`; undefined if it is not there. Throws bad_request. */
function parseTierRange(field: string | null): { readonly start: number; readonly end: number } | undefined {
  if (field === null) return undefined;
  const [, start, end] = /^(\d{1,15})-(\d{1,15})$/.exec(field) ?? [];
  if (start === undefined || end === undefined) throw new VitrineError("bad_request", `parse range: ${field}`);
  return { start: Number(start), end: Number(end) };
}
