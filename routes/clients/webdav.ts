import { Hono } from "hono";
import { SCOPES } from "../../src/access/tokens.ts";
import { VitrineError } from "../../src/core/errors.ts";
import { etagOf, type ObjectKey } from "../../src/core/object.ts";
import type { AppOptions } from "../app_options.ts";
import type { Env, Exchange } from "../exchange.ts";
import { allow, objectOf } from "../http/access.ts";
import { bodyLength, skipBody } from "../http/body.ts";
import { replyText } from "../http/reply.ts";
import { parseKey, restPaths } from "../http/target.ts";
import { miss, readObject } from "../objects/read.ts";
import { parsePut, putObject, stored } from "../objects/write.ts";
import { formatXml, type XmlElement } from "../s3/wire/xml.ts";

/** The path in front of every key. */
export const WEBDAV = "/dav/";

const PATHS = restPaths(WEBDAV, "key");
const MAX_PROPFIND_BYTES = 64 * 1024;

/**
 * As much of WebDAV (RFC 4918) as sccache and others need that keep files by their names (docs/CLIENTS.md): collections
 * are there by themselves. It is not in the specification, which has no such methods.
 */
export function webdavRoutes(options: AppOptions): Hono<Env> {
  const { access, limits, storage, transferWatch } = options;
  const read = readObject(options, { keyOf: fileOf });
  const app = new Hono<Env>();
  app.on("GET", PATHS, allow({ access, limits, scopes: ["read"] }), (c) => read(c.get("exchange"), c.req.raw));
  app.on("PUT", PATHS, allow({ access, limits, scopes: ["write", "create-only"] }), async (c) => {
    const exchange = c.get("exchange");
    const request = c.req.raw;
    const key = fileOf(exchange, request);
    const put = parsePut(exchange, request.headers, { key, sizeBytes: bodyLength(request) });
    return stored(await putObject(exchange, request, { ...options, put }));
  });
  app.on("DELETE", PATHS, allow({ access, limits, scopes: ["delete"] }), async (c) => {
    const deleted = await storage.delete(fileOf(c.get("exchange"), c.req.raw));
    if (!deleted) throw new VitrineError("not_found", "delete object: no such key");
    return c.body(null, 204);
  });
  app.on("MKCOL", PATHS, allow({ access, limits, scopes: ["write", "create-only"] }), (c) => {
    parseKey(c.req.path.slice(WEBDAV.length));
    return c.body(null, 201);
  });
  app.on("PROPFIND", PATHS, allow({ access, limits, scopes: SCOPES }), async (c) => {
    const exchange = c.get("exchange");
    const request = c.req.raw;
    await skipBody(exchange, request, { maxBytes: MAX_PROPFIND_BYTES, transferWatch });
    const depth = request.headers.get("depth");
    // RFC 4918, 9.1: without the field, it is infinity.
    if (depth !== "0") {
      throw new VitrineError("bad_request", `list members: only Depth: 0 is there: ${depth ?? "infinity"}`);
    }
    if (exchange.path.endsWith("/")) return multistatus(exchange, COLLECTION);
    const found = await storage.head(fileOf(exchange, request), exchange);
    if (found === undefined) return miss(exchange, request);
    const { meta } = found;
    return multistatus(exchange, [
      ["D:resourcetype", ""],
      ["D:getcontentlength", meta.sizeBytes],
      ["D:getcontenttype", meta.contentType === "" ? undefined : meta.contentType],
      ["D:getetag", etagOf(meta)],
      ["D:getlastmodified", new Date(meta.createdMs).toUTCString()],
    ]);
  });
  return app;
}

/** A collection has no time of its own, but clients do not take one without. */
const COLLECTION: readonly XmlElement[] = [
  ["D:resourcetype", [["D:collection", ""]]],
  ["D:getlastmodified", new Date(0).toUTCString()],
];

/** Answers with the properties of the resource that the path names. */
function multistatus(exchange: Exchange, properties: readonly XmlElement[]): Response {
  const response: XmlElement = ["D:response", [
    ["D:href", exchange.path],
    ["D:propstat", [["D:prop", properties], ["D:status", "HTTP/1.1 200 OK"]]],
  ]];
  const text = `<?xml version="1.0" encoding="UTF-8"?>\n<D:multistatus xmlns:D="DAV:">${
    formatXml([response])
  }</D:multistatus>`;
  return replyText(exchange, text, { type: "application/xml; charset=utf-8", status: 207 });
}

/** The object that the path names: `/dav/a/b` is `/v1/objects/a/b`. Throws bad_key; forbidden. */
function fileOf(exchange: Exchange, request: Request): ObjectKey {
  return objectOf(exchange, request, parseKey(exchange.path.slice(WEBDAV.length)));
}
