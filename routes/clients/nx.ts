import { Hono } from "hono";
import { describeRoute } from "hono-openapi";
import type { ObjectKey } from "../../src/core/object.ts";
import type { AppOptions } from "../app_options.ts";
import type { Env, Exchange, Refusal } from "../exchange.ts";
import { allow, objectOf } from "../http/access.ts";
import { bodyLength } from "../http/body.ts";
import { problemOf, refusal as problemSpec, replyRefusal } from "../http/reply.ts";
import { readObject } from "../objects/read.ts";
import { parsePut, putObject } from "../objects/write.ts";
import { checkName } from "./keys.ts";

/** The path in front of every entry. */
export const NX_CACHE = "/v1/cache/";

const PATH = `${NX_CACHE}:hash{\\w+}`;

const parameters = [
  { in: "path" as const, name: "hash", required: true, schema: { type: "string" as const, pattern: "^\\w{1,128}$" } },
];
const bytes = { "application/octet-stream": { schema: { type: "string" as const, format: "binary" } } };
const text = { "text/plain": { schema: { type: "string" as const } } };

const refusal = (description: string) => ({ description, content: text });
/** What a read finds is told as everywhere; why it could not look is told as text. */
const notRead = (description: string) => ({ description, content: { ...text, ...problemSpec(description).content } });
const REFUSALS = {
  401: refusal("No token, or one that is not known"),
  403: refusal("The token does not allow this, or the entry cannot be stored now"),
};

/** Nx's self-hosted remote cache (docs/CLIENTS.md). */
export function nxRoutes(options: AppOptions): Hono<Env> {
  const { access, limits } = options;
  const read = readObject(options, { keyOf: entryOf });
  const app = new Hono<Env>();
  app.get(
    PATH,
    describeRoute({
      summary: "Nx: read an entry",
      tags: ["build clients"],
      parameters,
      responses: {
        200: { description: "The entry", content: bytes },
        206: { description: "The bytes of the range", content: bytes },
        304: { description: "If-None-Match names it" },
        400: refusal("Bad header"),
        404: notRead("No such entry, or it cannot be read now"),
        412: notRead("If-Match does not name it"),
        416: notRead("The range has no byte of it"),
      },
    }),
    allow({ access, limits, scopes: ["read"] }, REFUSALS),
    (c) => read(c.get("exchange"), c.req.raw),
  );
  app.put(
    PATH,
    describeRoute({
      summary: "Nx: store an entry that is not there yet",
      tags: ["build clients"],
      parameters,
      requestBody: { required: true, content: bytes },
      responses: {
        200: { description: "Stored" },
        400: refusal("Bad header; length or digest mismatch"),
        404: refusal("The hash has other characters than letters, digits and _"),
        409: refusal("There is an entry already"),
      },
    }),
    allow({ access, limits, scopes: ["write", "create-only"] }, REFUSALS),
    async (c) => {
      const exchange = c.get("exchange");
      const request = c.req.raw;
      const parsed = parsePut(exchange, request.headers, {
        key: entryOf(exchange, request),
        sizeBytes: bodyLength(request),
      });
      await putObject(exchange, request, { ...options, put: { ...parsed, precondition: { noneMatch: "*" } } });
      exchange.answers(0);
      return new Response(null, { status: 200, headers: { "content-length": "0" } });
    },
  );
  return app;
}

/** A refusal as text, with a status after which a build goes on where that is true enough. */
export function nxRefusal(
  exchange: Exchange,
  _request: Request,
  refused: Refusal,
  headers: Readonly<Record<string, string>> = {},
): Response {
  const problem = problemOf(exchange, refused);
  const status = statusOf(exchange.method, { code: refused.code, status: problem.status });
  const isHidden = status === 404 && problem.status !== 404;
  return replyRefusal(exchange, refused, {
    status,
    text: `${problem.title}: ${refused.message}\n`,
    type: "text/plain",
    // RFC 9211: not looked up. So a person can tell it from a miss.
    headers: isHidden ? { ...headers, "cache-status": `vitrine; fwd=bypass; detail=${refused.code}` } : headers,
  });
}

/**
 * Nx ends a build at any answer to a GET but 200 and 404, and at any to a PUT but 200, 403 and 409, after it has sent
 * it six times. So what a server cannot do now is an entry that is not there, or that may not be stored. What a person
 * has to mend, such as a wrong token, stays what it is.
 */
function statusOf(
  method: string,
  { code, status }: { readonly code: Refusal["code"]; readonly status: number },
): number {
  if (code === "too_many_failures") return 401;
  const isForNow = status >= 500 || status === 429 || status === 408;
  if (method !== "PUT") return isForNow ? 404 : status;
  if (code === "precondition_failed") return 409;
  return isForNow || code === "too_large" || code === "metadata_too_large" ? 403 : status;
}

/** The entry that the path names. Throws bad_key; forbidden. */
function entryOf(exchange: Exchange, request: Request): ObjectKey {
  return objectOf(exchange, request, `nx/${checkName("hash", exchange.path.slice(NX_CACHE.length))}`);
}
