import { Hono } from "hono";
import { describeRoute, resolver } from "hono-openapi";
import { VitrineError } from "../../src/core/errors.ts";
import type { AppOptions } from "../app_options.ts";
import type { Env } from "../exchange.ts";
import type { FastRoutes } from "../fast_path.ts";
import { allow, parseObjectKey } from "../http/access.ts";
import { writePrecondition } from "../http/conditions.ts";
import { refusal } from "../http/reply.ts";
import { OBJECTS, restPaths } from "../http/target.ts";
import { explainObject, explainSpec } from "./explain.ts";
import { readObject } from "./read.ts";
import { writeObject } from "./write.ts";

const PATHS = restPaths(OBJECTS, "key");

const header = (name: string, description: string) => ({
  in: "header" as const,
  name,
  description,
  schema: { type: "string" as const },
});
const keyParameter = {
  in: "path" as const,
  name: "key",
  required: true,
  description: "1-1024 bytes, percent-encoded UTF-8; slashes may stand as they are. Send dot segments as `a%2F..%2Fb`.",
  schema: { type: "string" as const },
};
const tenant = header(
  "Vitrine-Tenant",
  "The tenant, at most 128 characters. Where tokens are configured, the token decides.",
);
const bytes = { "application/octet-stream": { schema: { type: "string" as const, format: "binary" } } };

/** GET and PUT of an object, for their routes and for the fast path in front of them. */
export function fastObjectRoutes(options: AppOptions): FastRoutes {
  const { access, limits } = options;
  return {
    GET: { guard: { access, limits, scopes: ["read"] }, answer: readObject(options) },
    PUT: { guard: { access, limits, scopes: ["write", "create-only"] }, answer: writeObject(options) },
  };
}

/** One object: PUT, GET, HEAD, DELETE. */
export function objectRoutes({ access, limits, storage }: AppOptions, { GET: get, PUT: put }: FastRoutes): Hono<Env> {
  const app = new Hono<Env>();
  app.on(
    "GET",
    PATHS,
    describeRoute({
      summary: "Read an object",
      tags: ["objects"],
      parameters: [
        keyParameter,
        tenant,
        header("Range", "One range of bytes. Several are answered with the whole object."),
        header("If-Range", "The range is of the object with this ETag; otherwise the whole object is sent."),
        header("If-Match", "ETags, or *."),
        header("If-None-Match", "ETags, or *."),
        explainSpec.parameter,
      ],
      responses: {
        200: {
          description:
            "The bytes and the kept header fields; with explain=1, the tiers that would be asked and the result",
          content: { ...bytes, "application/json": { schema: resolver(explainSpec.answer) } },
        },
        206: { description: "The bytes of the range", content: bytes },
        304: { description: "If-None-Match names the current object" },
        400: refusal("Bad key or header"),
        404: refusal("No such object; `reason` says how the last copy was lost"),
        412: refusal("If-Match does not name the current object"),
        416: refusal("The range has no byte of the object"),
        503: refusal("A tier failed and no other has the object, or too many requests are in progress"),
      },
    }),
    allow(get.guard),
    (c) => {
      const exchange = c.get("exchange");
      return explainObject(storage, exchange, c.req.raw) ?? get.answer(exchange, c.req.raw);
    },
  );
  app.on(
    "PUT",
    PATHS,
    describeRoute({
      summary: "Store an object",
      tags: ["objects"],
      parameters: [
        keyParameter,
        tenant,
        header("Content-Digest", "RFC 9530; sha-256 is verified, kept, and sent with GET as Repr-Digest."),
        header(
          "Cache-Control",
          "max-age=N is the time to live in seconds; without it, the object stays until it is evicted. Other response directives are kept.",
        ),
        header(
          "Content-Encoding",
          "Kept. The bytes are stored and sent as they are: nothing is encoded or decoded.",
        ),
        header("Content-Language", "Kept."),
        header("Content-Disposition", "Kept."),
        header("Expires", "Kept; it does not limit how long the object stays."),
        header("Vitrine-Meta-*", "Kept: your own metadata. All kept fields together are at most 64 and 4096 bytes."),
        header("If-Match", "ETags, or *: replace only an object that has one of them."),
        header("If-None-Match", "*: create only."),
        {
          in: "header",
          name: "Vitrine-Durability",
          description: "l1: acknowledge once the object is in memory; l2: acknowledge once every tier has it.",
          schema: { type: "string", enum: ["l1", "l2"] },
        },
      ],
      requestBody: { required: true, content: bytes },
      responses: {
        200: { description: "Replaced" },
        201: { description: "Created" },
        400: refusal("Bad key or header; length or digest mismatch"),
        408: refusal("The body arrives too slowly"),
        412: refusal("A precondition failed, or the token may only create and the object exists"),
        413: refusal("The object is larger than this server accepts"),
        431: refusal("More header fields or bytes than can be kept with an object"),
        503: refusal("A tier failed, too many requests are in progress, or the server is shutting down"),
        507: refusal("No room"),
      },
    }),
    allow(put.guard),
    (c) => put.answer(c.get("exchange"), c.req.raw),
  );
  app.on(
    "DELETE",
    PATHS,
    describeRoute({
      summary: "Delete an object from all tiers",
      tags: ["objects"],
      parameters: [keyParameter, tenant, header("If-Match", "ETags, or *.")],
      responses: {
        204: { description: "Deleted" },
        400: refusal("Bad key or header"),
        404: refusal("No such object"),
        412: refusal("A precondition failed"),
        503: refusal("A tier failed, or too many requests are in progress"),
      },
    }),
    allow({ access, limits, scopes: ["delete"] }),
    async (c) => {
      const precondition = writePrecondition(c.req.raw.headers);
      const deleted = await storage.delete(
        parseObjectKey(c.get("exchange"), c.req.raw),
        // An absent object is a 404, whatever the precondition is (RFC 9110 13.2.1).
        precondition && { ...precondition, orAbsent: true },
      );
      if (!deleted) throw new VitrineError("not_found", "delete object: no such key");
      return c.body(null, 204);
    },
  );
  return app;
}
