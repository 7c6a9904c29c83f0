import { Hono } from "hono";
import { describeRoute, resolver } from "hono-openapi";
import * as v from "valibot";
import { VitrineError } from "../../src/core/errors.ts";
import {
  type HeaderField,
  isFieldValue,
  type ObjectKey,
  type ObjectMeta,
  unpackHeaders,
} from "../../src/core/object.ts";
import type { AppOptions } from "../app_options.ts";
import { readJson } from "../batch/body.ts";
import type { Env, Exchange, Refusal } from "../exchange.ts";
import { allow, forbid, objectOf } from "../http/access.ts";
import { bodyLength, skipBody } from "../http/body.ts";
import { keptFields, packBounded } from "../http/metadata.ts";
import { parseQuery } from "../http/query.ts";
import { problemOf, refusal, replyJson, replyRefusal } from "../http/reply.ts";
import { pathOf, targetOf } from "../http/target.ts";
import { readObject } from "../objects/read.ts";
import { parsePut, putObject } from "../objects/write.ts";
import { inBatches } from "./in_batches.ts";
import { checkName } from "./keys.ts";

/** The path in front of every artifact. */
export const ARTIFACTS = "/v8/artifacts";

/** A path that asks whether the cache may be used. It counts under its own name. */
export const ARTIFACT_STATUS = `${ARTIFACTS}/status`;

// Hono's RegExpRouter has no static path beside one with a parameter.
const HASH_OR_STATUS = `${ARTIFACTS}/:hash{[0-9A-Fa-f]+|status}`;
const HASH = `${ARTIFACTS}/:hash{[0-9A-Fa-f]+}`;
/** The fields of an upload that a download gives back; the tag is its signature. */
const FIELDS = ["x-artifact-duration", "x-artifact-tag", "x-artifact-sha", "x-artifact-dirty-hash"] as const;
/** Of turbo's fields, those that its preflight asks for; without Authorization it would send no token. */
const ALLOWED = ["Authorization", "Content-Type", "User-Agent", ...FIELDS].join(", ");
const MAX_FIELD_CHARACTERS = 600;
const MAX_HASHES = 10_000;
/** A run of turbo sends one event for each task. */
const MAX_EVENT_BYTES = 16 * 1024 * 1024;

const team = v.optional(v.string(), "");
const teamQuery = v.object({ teamId: team, slug: team });
const hashSchema = v.pipe(v.string(), v.regex(/^[0-9A-Fa-f]{1,128}$/, "not 1 to 128 hexadecimal digits"));
const queriedSchema = v.object({ hashes: v.pipe(v.array(hashSchema), v.maxLength(MAX_HASHES)) });
const artifactSchema = v.object({
  size: v.pipe(v.number(), v.description("In bytes.")),
  taskDurationMs: v.optional(v.number()),
  tag: v.optional(v.string()),
});
const foundSchema = v.record(v.string(), v.nullable(artifactSchema));
const json = (schema: v.GenericSchema) => ({ "application/json": { schema: resolver(schema) } });
const bytes = { "application/octet-stream": { schema: { type: "string" as const, format: "binary" } } };
const text = { type: "string" as const };
const teams = [
  { in: "query" as const, name: "teamId", description: "The team, a part of the key.", schema: text },
  { in: "query" as const, name: "slug", description: "The team, if there is no teamId.", schema: text },
];
const parameters = [
  ...teams,
  {
    in: "path" as const,
    name: "hash",
    required: true,
    schema: { type: "string" as const, pattern: "^[0-9A-Fa-f]{1,128}$" },
  },
];
const busy = refusal("A tier failed, or too many requests are in progress");

/** Turborepo's remote cache (docs/CLIENTS.md). */
export function turborepoRoutes(options: AppOptions): Hono<Env> {
  const { access, limits, storage, transferWatch } = options;
  const read = readObject(options, {
    keyOf: artifactOf,
    fieldsOf: ({ headers }) => Object.fromEntries(fieldsIn(headers)),
  });
  const app = new Hono<Env>();
  // Programs ask in this way too. An answer without Access-Control-Allow-Origin opens nothing to a page.
  app.on("OPTIONS", [ARTIFACTS, `${ARTIFACTS}/:hash{[0-9A-Fa-f]+|status|events}`], (c) => {
    c.get("exchange").answers(0);
    const headers = {
      "access-control-allow-headers": ALLOWED,
      "access-control-allow-methods": "GET, HEAD, PUT, POST",
    };
    return new Response(null, { status: 204, headers });
  });
  app.post(
    `${ARTIFACTS}/events`,
    describeRoute({
      summary: "Turborepo: hits and misses that a client reports; they are not kept",
      tags: ["build clients"],
      parameters: teams,
      requestBody: { required: true, content: json(v.array(v.any())) },
      responses: { 200: { description: "Read" }, 400: refusal("The body is too long"), 503: busy },
    }),
    allow({ access, limits, scopes: ["read", "write", "create-only"] }),
    async (c) => {
      const exchange = c.get("exchange");
      await skipBody(exchange, c.req.raw, { maxBytes: MAX_EVENT_BYTES, transferWatch });
      return replyJson(exchange, {});
    },
  );
  app.post(
    ARTIFACTS,
    describeRoute({
      summary: "Turborepo: which of many artifacts there are",
      tags: ["build clients"],
      parameters: teams,
      requestBody: { required: true, content: json(queriedSchema) },
      responses: {
        200: { description: "By hash; null if there is none", content: json(foundSchema) },
        400: refusal("Bad query or body"),
        503: busy,
      },
    }),
    allow({ access, limits, scopes: ["read"] }),
    async (c) => {
      const exchange = c.get("exchange");
      const request = c.req.raw;
      const prefix = prefixOf(request);
      const { hashes } = await readJson(queriedSchema, { exchange, request, transferWatch });
      const keys = Array.from(new Set(hashes), (hash) => ({ hash, key: objectOf(exchange, request, prefix + hash) }));
      const found = await inBatches(keys, async ({ hash, key }) => {
        const artifact = await storage.head(key);
        return [hash, artifact === undefined ? null : answerOf(artifact.meta)] as const;
      });
      return replyJson(exchange, Object.fromEntries(found));
    },
  );
  app.get(
    HASH_OR_STATUS,
    describeRoute({
      summary: "Turborepo: read an artifact; with the hash `status`, ask whether the cache may be used",
      tags: ["build clients"],
      parameters,
      responses: {
        200: {
          description: "The artifact, with the fields of its upload; or the status",
          content: { ...bytes, ...json(v.object({ status: v.literal("enabled") })) },
        },
        206: { description: "The bytes of the range", content: bytes },
        304: { description: "If-None-Match names it" },
        400: refusal("Bad query or header"),
        404: refusal("No such artifact, or no hash"),
        412: refusal("If-Match does not name it"),
        416: refusal("The range has no byte of it"),
        503: busy,
      },
    }),
    allow({ access, limits, scopes: ["read", "write", "create-only"] }),
    (c) => {
      const exchange = c.get("exchange");
      if (exchange.path === ARTIFACT_STATUS) return replyJson(exchange, { status: "enabled" });
      return exchange.grant.scopes.has("read") ? read(exchange, c.req.raw) : forbid(exchange, c.req.raw);
    },
  );
  app.put(
    HASH,
    describeRoute({
      summary: "Turborepo: store an artifact",
      tags: ["build clients"],
      parameters: [
        ...parameters,
        ...FIELDS.map((name) => ({ in: "header" as const, name, description: "Kept, and given back.", schema: text })),
      ],
      requestBody: { required: true, content: bytes },
      responses: {
        202: { description: "Stored", content: json(v.object({ urls: v.array(v.string()) })) },
        400: refusal("Bad query or header; length or digest mismatch"),
        404: refusal("The hash is no hexadecimal number"),
        408: refusal("The body arrives too slowly"),
        412: refusal("A precondition failed, or the token may only create and the artifact exists"),
        413: refusal("The artifact is larger than this server accepts"),
        431: refusal("More header fields or bytes than can be kept with an artifact"),
        503: busy,
        507: refusal("No room"),
      },
    }),
    allow({ access, limits, scopes: ["write", "create-only"] }),
    async (c) => {
      const exchange = c.get("exchange");
      const request = c.req.raw;
      const key = artifactOf(exchange, request);
      const put = {
        ...parsePut(exchange, request.headers, { key, sizeBytes: bodyLength(request) }),
        headers: packBounded([...keptFields(request.headers), ...artifactFields(request.headers)]),
      };
      await putObject(exchange, request, { ...options, put });
      return replyJson(exchange, { urls: [exchange.path] }, 202);
    },
  );
  return app;
}

/** A refusal as the client parses it: a problem with a member `error`. */
export function turborepoRefusal(
  exchange: Exchange,
  request: Request,
  refused: Refusal,
  headers: Readonly<Record<string, string>> = {},
): Response {
  const { status, ...fields } = problemOf(exchange, refused);
  const { code, message } = refused;
  const text = JSON.stringify({
    ...fields,
    status,
    instance: pathOf(targetOf(request.url) ?? "/"),
    error: { code, message },
  });
  return replyRefusal(exchange, refused, { status, text, type: "application/problem+json", headers });
}

/** The artifact that the path and the query name. Throws bad_request, bad_key; forbidden. */
function artifactOf(exchange: Exchange, request: Request): ObjectKey {
  return objectOf(exchange, request, prefixOf(request) + checkName("hash", exchange.path.slice(ARTIFACTS.length + 1)));
}

/**
 * The prefix of the keys of a team. The tenant comes from the token alone: whatever team a client names, it stays among
 * the tenant's keys, and the token's prefix decides which of them it reaches.
 */
function prefixOf(request: Request): string {
  const { teamId, slug } = parseQuery(teamQuery, request);
  if (teamId !== "") return `turborepo/${checkName("teamId", teamId)}/`;
  return slug === "" ? "turborepo/" : `turborepo/${checkName("slug", slug)}/`;
}

/** The fields of an upload that are kept. Throws bad_request. */
function artifactFields(headers: Headers): readonly HeaderField[] {
  return FIELDS.flatMap((name): HeaderField[] => {
    const value = headers.get(name) ?? "";
    if (value === "") return [];
    if (value.length <= MAX_FIELD_CHARACTERS && isFieldValue(value)) return [[name, value]];
    throw new VitrineError("bad_request", `parse ${name}: not at most ${MAX_FIELD_CHARACTERS} characters of a field`);
  });
}

const fieldsIn = (packed: string | undefined): readonly HeaderField[] =>
  unpackHeaders(packed ?? "").filter(([name]) => FIELDS.some((each) => each === name));

function answerOf({ sizeBytes, headers }: ObjectMeta): v.InferInput<typeof artifactSchema> {
  const fields = new Map(fieldsIn(headers));
  const duration = Number(fields.get("x-artifact-duration"));
  const tag = fields.get("x-artifact-tag");
  return {
    size: sizeBytes,
    ...(Number.isFinite(duration) ? { taskDurationMs: duration } : {}),
    ...(tag === undefined ? {} : { tag }),
  };
}
